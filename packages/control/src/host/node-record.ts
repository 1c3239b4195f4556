import type { DataFiles, DiskFacts, EngineFacts, NodeRecord } from '@holdfast/core'

/** What an engine says of itself now. */
export type EngineSaid = Pick<EngineFacts, 'role' | 'replid' | 'offset' | 'link'> & Pick<DiskFacts, 'logs'>

interface FilesSaid {
  readonly claim: DataFiles['claim']
  readonly claimsSlots: boolean
}

/**
 * What the agent remembers of an engine, for the day when it is asked no more. Of a link that is down it goes on saying
 * when it was last up, and since when it is not: a replica whose primary has died is judged by that.
 */
export function recordOf(before: NodeRecord | null, said: EngineSaid & FilesSaid, at: number): NodeRecord {
  const { claim, claimsSlots, role, replid, offset, link, logs } = said
  const engineId = claim?.engineId ?? before?.engineId ?? ''
  // What a link was before a wipe says nothing of the engine that came after it. Outside a Cluster engines have no id.
  const sameEngine = before?.engineId === (claim?.engineId ?? '') ? before : null
  const isLinked = link?.state === 'up'
  return {
    engineId,
    role,
    ownedSlots: claimsSlots || before?.ownedSlots === true,
    configEpoch: claim?.configEpoch ?? before?.configEpoch ?? 0,
    replid,
    offset,
    link: link?.state ?? null,
    logs,
    linkUpAt: isLinked ? at : role === 'primary' ? null : (sameEngine?.linkUpAt ?? null),
    linkDownSince: isLinked || role === 'primary' ? null : (sameEngine?.linkDownSince ?? at),
    at,
  }
}
