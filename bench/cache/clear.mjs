// @ts-check
/** `clear()` and the invalidation of a tag on a Cluster of three: what they cost, what is left, when others follow. */
import { BareCluster } from '../bare-cluster.mjs'
import { eventually, now } from '../time.mjs'
import { alternately, contender, opened } from './contenders.mjs'

const count = 300
const followWithinMs = 2000

/** @param {import('./cache.mjs').Part} part */
export async function benchClear({ bench, quick, runs = quick ? 1 : 5 }) {
  const contenders = [contender('holdfast'), contender('bentocache')]
  const { bare } = await BareCluster.up(bench.engine, ['--cluster-node-timeout', '5000'])
  try {
    const ports = bare.cluster.nodes.map(({ port }) => port)
    let serial = 0
    const outcomes = await alternately({ contenders, runs, say: bench.say, what: 'clear' }, (one) =>
      opened(one, { ports }, (here) =>
        opened(one, { ports }, async (there) => {
          // Once for the programs to be warm and their connections to be open, once to be counted.
          await invalidated(here, there, `warm${serial++}-`, 'invalidateTags', ['sale'])
          await invalidated(here, there, `warm${serial++}-`, 'clear')
          const tagged = await invalidated(here, there, `tagged${serial++}-`, 'invalidateTags', ['sale'])
          const cleared = await invalidated(here, there, `cleared${serial++}-`, 'clear')
          return { tagged, cleared }
        }),
      ),
    )
    /** @type {import('../figures.mjs').Row[]} */
    const rows = []
    for (const [what, of] of /** @type {const} */ ([
      ['clear()', 'cleared'],
      ['invalidateTags()', 'tagged'],
    ])) {
      rows.push(
        ...contenders.map((one) =>
          outcomes.row(one, `${what} of ${count} keys, the call`, 'ms', (seen) => seen[of].callMs),
        ),
        ...contenders.map((one) =>
          outcomes.row(one, `${what}, keys that the same process still serves`, 'keys', (seen) => seen[of].left, [
            { of: 'max', atMost: 0 },
          ]),
        ),
        ...contenders.map((one) =>
          outcomes.row(
            one,
            `${what}, until another process serves none (at most ${followWithinMs})`,
            'ms',
            (seen) => seen[of].followedMs,
            [{ of: 'max', atMost: 100 }],
          ),
        ),
      )
    }
    return { rows, compare: [], details: outcomes.details }
  } finally {
    await bare.remove()
  }
}

/**
 * @param {import('./subject.mjs').Subject} here
 * @param {import('./subject.mjs').Subject} there
 * @param {string} prefix
 * @param {'clear' | 'invalidateTags'} task
 * @param {string[]} [tags]
 */
async function invalidated(here, there, prefix, task, tags) {
  await here.ask('fill', { prefix, count, ...(tags && { tags }) })
  const missing = await there.ask('countStale', { prefix, count, version: 0 })
  if (missing > 0) throw new Error(`the other process did not see ${missing} of ${count} entries`)
  const startedAt = now()
  await here.ask(task, { tags })
  const callMs = now() - startedAt
  const served = async (/** @type {import('./subject.mjs').Subject} */ subject) =>
    count - (await subject.ask('countStale', { prefix, count, version: 0 }))
  const followedMs = await eventually(async () => ((await served(there)) === 0 ? now() - startedAt : undefined), {
    withinMs: followWithinMs,
    everyMs: 2,
    what: 'the other process follows',
  }).catch(() => followWithinMs)
  return { callMs, left: await served(here), followedMs }
}
