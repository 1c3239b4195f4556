/**
 * `min-replicas-to-write` of a shard's primary: with 1, a primary that no replica acknowledges refuses writes after
 * `min-replicas-max-lag`, so what a primary that is cut off takes and loses is bounded.
 *
 * With one replica the price is the whole shard: after every failover the new primary has no replica until the old node
 * is back, and refuses all writes meanwhile (20 s and more were measured, as long as the fault lasts). With two, one may
 * be away. So it is 1 only while two are in sync, it stays 1 when one of them goes, and only a person lowers it: lowered
 * by itself, it would be lowered in just the fault that it is for.
 */
export interface WriteGuard {
  /** Replicas that the shard shall have. */
  readonly replicas: number
  /** Those whose link is up now. */
  readonly inSync: number
  /** What its primary has now. */
  readonly now: 0 | 1
  /** A person has accepted that writes go on without a copy: who, and why. Null: nobody has. */
  readonly degraded: { readonly by: string; readonly because: string } | null
}

export function minReplicasToWrite({ replicas, inSync, now, degraded }: WriteGuard): {
  readonly value: 0 | 1
  readonly because: string
} {
  if (replicas < 2) {
    return {
      value: 0,
      because: `${replicas} of 2 replicas: a failover would stop all writes until the old node is back`,
    }
  }
  if (degraded !== null)
    return { value: 0, because: `${degraded.by} accepts writes without a copy: ${degraded.because}` }
  if (inSync >= 2) return { value: 1, because: `${inSync} replicas are in sync` }
  return now === 1
    ? { value: 1, because: `${inSync} of ${replicas} replicas in sync: kept until a person lowers it` }
    : { value: 0, because: `${inSync} of ${replicas} replicas in sync: raised once two are` }
}
