// @ts-check
/** What is left in the engine of entries with tags when all of them are over. */
import { delay } from '../time.mjs'
import { alternately, contender, opened } from './contenders.mjs'
import { withEngine } from './engine-process.mjs'

/** @param {import('./cache.mjs').Part} part */
export async function benchTags({ bench, quick, runs = 1 }) {
  const count = quick ? 20_000 : 1_000_000
  const contenders = [contender('holdfast', { local: false }), contender('bentocache', { local: false })]
  return withEngine(bench, async (engine) => {
    const outcomes = await alternately({ contenders, runs, say: bench.say, what: 'tags' }, async (one) => {
      await engine.command('FLUSHALL')
      return opened(one, { port: engine.port }, async (subject) => {
        const batch = 10_000
        for (let from = 0; from < count; from += batch) {
          // Each tag is of a few hundred entries, as a category or a brand would be.
          const tags = [`brand${from / batch}`, 'everything']
          await subject.ask('fill', { prefix: `b${from}-`, count: batch, ttl: '1s', tags })
          if (from % (batch * 7) === 0) await subject.ask('invalidateTags', { tags: [`brand${from / batch}`] })
        }
        const atMost = await keysIn(engine)
        // Entries live 1 s, and what a library keeps for the day when the source is down at most as long again.
        await delay(quick ? 3000 : 10_000)
        // Expired keys are counted until the engine comes across them; a SCAN comes across all.
        await touchAll(engine)
        const after = await keysIn(engine)
        return { atMost: atMost.keys, left: after.keys, forever: after.keys - after.expires }
      })
    })
    const what = `${count} entries with tags expired`
    const rows = [
      ...contenders.map((one) => outcomes.row(one, `${what}, keys left`, 'keys', ({ left }) => left)),
      ...contenders.map((one) =>
        outcomes.row(one, `${what}, keys left for ever`, 'keys', ({ forever }) => forever, [{ of: 'max', atMost: 0 }]),
      ),
    ]
    return { rows, compare: [], details: outcomes.details }
  })
}

/** @param {import('./engine-process.mjs').EngineProcess} engine */
async function keysIn(engine) {
  const text = String(await engine.command('INFO', 'keyspace'))
  const [, keys = '0', expires = '0'] = /keys=(\d+),expires=(\d+)/.exec(text) ?? []
  return { keys: Number(keys), expires: Number(expires) }
}

/** @param {import('./engine-process.mjs').EngineProcess} engine */
async function touchAll(engine) {
  let cursor = '0'
  do {
    const [next] = /** @type {[string, string[]]} */ (await engine.command('SCAN', cursor, 'COUNT', '1000'))
    cursor = next
  } while (cursor !== '0')
}
