import type { DeploymentFacts } from '@holdfast/core'
import { urlFor } from '@holdfast/core'

/** A client of a deployment, as an application is one. */
export interface ProbeClient {
  /** Writes to the shard that owns the slot of this tag, `{…}`. Rejects when that could not be done within 5 s. */
  write(tag: string): Promise<void>
  close(): Promise<void>
}

/** The client is loaded with the first deployment that is watched: a command that only asks has no use for it. */
export async function openProbeClient(facts: DeploymentFacts): Promise<ProbeClient> {
  const { createCache } = await import('@holdfast/cache')
  const cache = createCache({
    url: urlFor('holdfast', facts, { showSecret: true }),
    ...(facts.authority == null ? {} : { tls: { ca: facts.authority } }),
    namespace: 'holdfast-probe',
    local: false,
    coherence: 'none',
    direct: { within: '5s' },
  })
  return {
    /**
     * To set a key only if it is there, which it never is: a write that READONLY, CLUSTERDOWN, NOREPLICAS, MISCONF and
     * OOM answer, that leaves nothing behind and that no replica hears of.
     */
    async write(tag) {
      const direct = cache.on(tag)
      await direct.call(['SET', direct.key('probe'), '', 'XX'], { repeatable: true })
    },
    close: () => cache.close(),
  }
}
