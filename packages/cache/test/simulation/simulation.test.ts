/* Days of several processes over one engine in memory. A failing seed says so; `SEED=… npm test` brings its day back. */
import { expect, test } from 'vitest'
import { type Day, planDay } from './day.ts'
import { Laws } from './laws.ts'
import { shorten } from './shorten.ts'
import { Source } from './source.ts'
import { World } from './world.ts'

const given = process.env['SEED']
const seeds = given === undefined ? Array.from({ length: 100 }, (_, index) => index + 1) : [Number(given)]

/** Lives the day, and tells the shortest story of what was wrong. */
async function judge(day: Day): Promise<void> {
  const [violation] = await new World(day).live()
  if (violation === undefined) return
  const law = violation.slice(0, violation.indexOf(':'))
  const short = new World(await shorten(day, law))
  const violations = await short.live()
  const { steps: _steps, ...rest } = short.day
  throw new Error([`SEED=${day.seed}`, ...violations, JSON.stringify(rest), ...short.story].join('\n'))
}

test('on a fair day nobody is served what is old, mixed up or loaded twice', async () => {
  for (const seed of seeds) await judge(planDay(seed, { weather: 'fair', steps: 60 }))
}, 60_000)

test('after a foul day everybody serves what is right, and nothing is left behind', async () => {
  for (const seed of seeds) await judge(planDay(seed, { weather: 'foul', steps: 70 }))
}, 60_000)

test('the same seed brings the same day back', async () => {
  const storyOf = async (seed: number): Promise<string> => {
    const world = new World(planDay(seed, { weather: 'foul', steps: 70 }))
    await world.live()
    return world.story.join('\n')
  }
  expect(await storyOf(7)).toBe(await storyOf(7))
  expect(await storyOf(7)).not.toBe(await storyOf(8))
})

/** A judge of a fair world in which nothing has happened yet, with a clock to set. */
function aJudge() {
  const time = { now: 0 }
  const source = new Source()
  return { time, source, laws: new Laws({ source, now: () => time.now, ttlMs: 1000, isFair: true, delayMs: 0 }) }
}

test('the judge names a value that is older than a change which was told', () => {
  const { time, source, laws } = aJudge()
  const { version } = source.change('a', false)
  const told = laws.begin('here', 'delete', new Map([['a', version]]))
  laws.end(told, 'stored')
  const old = { key: 'a', version: version - 1, madeAt: 0 } as const
  // At once for who has changed it, for the others when it was told.
  const floors = { here: laws.floor('a', 'here'), there: laws.floor('a', 'there') }
  laws.answered({ by: 'there', way: 'get', key: 'a', floor: floors.there }, old, false)
  expect(laws.violations).toEqual([])
  laws.answered({ by: 'here', way: 'get', key: 'a', floor: floors.here }, old, true)
  expect(laws.violations).toEqual([])
  laws.answered({ by: 'here', way: 'get', key: 'a', floor: floors.here }, old, false)
  time.now = 1
  laws.answered({ by: 'there', way: 'peek', key: 'a', floor: laws.floor('a', 'there') }, old, false)
  expect(laws.violations).toEqual([
    'old: here: get of a answered version 1 as fresh after 2',
    'old: there: peek of a answered version 1 as fresh after 2',
  ])
})

test('the judge waits for what is pending, and asks nothing for what was lost', () => {
  const { time, source, laws } = aJudge()
  const told = laws.begin('here', 'set', new Map([['a', source.change('a', false).version]]))
  told.state = 'pending'
  expect(laws.floor('a', 'here')).toBe(0)
  laws.settle('here', 'settled')
  expect(laws.floor('a', 'all')).toBe(2)
  const lost = laws.begin('there', 'set', new Map([['a', source.change('a', false).version]]))
  lost.state = 'pending'
  time.now = 5
  laws.settle('there', 'lost')
  expect(laws.floor('a', 'all')).toBe(0)
})

test('the judge names what outlives its ttl, belongs to another key, or is nothing that a source has said', () => {
  const { time, laws } = aJudge()
  time.now = 1001
  const read = { by: 'here', way: 'getOrSet', key: 'a', floor: 0 } as const
  laws.answered(read, { key: 'a', version: 1, madeAt: 0 }, false)
  laws.answered(read, { key: 'b', version: 1, madeAt: 1000 }, false)
  laws.answered(read, undefined, false)
  expect(laws.violations.map((violation) => violation.split(':')[0])).toEqual(['ttl', 'mixed', 'undefined'])
})

test('the judge names two loads at once, unless the key was changed or the first failed', () => {
  const { time, laws } = aJudge()
  const first = laws.beginLoad('a', 0)
  time.now = 10
  laws.disturb('a')
  time.now = 20
  laws.endLoad(laws.beginLoad('a', 15), 'value')
  expect(laws.violations).toHaveLength(0)
  laws.endLoad(first, 'value')
  laws.beginLoad('a', 20)
  time.now = 30
  laws.beginLoad('a', 30)
  expect(laws.violations).toHaveLength(1)
})
