/**
 * What an agent does with the member of etcd that its host shall carry. A member that has lost its data must never come
 * back empty under its old identity: it has voted, and would forget for whom. So it is removed and added again, which the
 * majority of the others has to agree to.
 */

/** A member as the others know it. */
export interface EtcdMemberSeen {
  readonly id: string
  readonly peerUrls: readonly string[]
  /** Empty: it has never been up. */
  readonly clientUrls: readonly string[]
}

export interface EtcdMemberFacts {
  readonly isRunning: boolean
  readonly hasData: boolean
  /** Whether this is the birth of the whole etcd, as somebody has said. */
  readonly isBirth: boolean
  readonly peerUrl: string
  /** Those that the others know; null: no majority of them answers. */
  readonly known: readonly EtcdMemberSeen[] | null
}

export type EtcdMemberPlan =
  | { readonly kind: 'nothing' | 'wait' | 'add'; readonly because: string }
  /** `into`: a new etcd, or the one that the others have. */
  | { readonly kind: 'start'; readonly into: 'new' | 'existing'; readonly because: string }
  | { readonly kind: 'remove'; readonly id: string; readonly because: string }

/** One step; the next turn looks again. */
export function planEtcdMember({ isRunning, hasData, isBirth, peerUrl, known }: EtcdMemberFacts): EtcdMemberPlan {
  if (isRunning) return { kind: 'nothing', because: 'etcd runs' }
  if (hasData) return { kind: 'start', into: 'existing', because: 'etcd is not running: starting it with its data' }
  if (known === null && isBirth) return { kind: 'start', into: 'new', because: 'starting a new etcd with the others' }
  if (known === null) {
    const because =
      'this member of etcd has no data, and no majority of the others answers: it waits for them, since an empty one must not vote'
    return { kind: 'wait', because }
  }
  const mine = known.find(({ peerUrls }) => peerUrls.includes(peerUrl))
  if (mine === undefined) return { kind: 'add', because: 'the others do not know this member of etcd: adding it' }
  if (mine.clientUrls.length === 0) {
    return { kind: 'start', into: 'existing', because: 'this member of etcd was never up: it gets all from the others' }
  }
  const because = 'this member of etcd has lost its data: it is removed, and comes back as a new one'
  return { kind: 'remove', id: mine.id, because }
}
