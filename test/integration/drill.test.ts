import { readdirSync, readFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { faultNames } from '@holdfast/core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { brokenTruths, clientsOf, drillKeys, faultsOf, readyAgain, reportIn, upForDrills } from '../support/drilled.ts'
import { eventually } from '../support/eventually.ts'
import { Program } from '../support/program.ts'

/** A drill waits for the deployment to be whole again, and a busy machine takes its time for that. */
const slowly = 150_000

/* One labelled deployment for all: each drill leaves it ready for the next. */
describe('a drill', () => {
  let it: Program

  beforeAll(async () => {
    it = new Program()
    await upForDrills(it)
  })

  afterAll(async () => {
    await it?.close()
  })

  test(
    'of a killed primary loses nothing, and tells who took over, from where, and for how long nobody could write',
    async () => {
      const page = it.file('drill.html', 'an older report')
      const { code, stdout, stderr } = await it.run(
        ['drill', 'it', 'kill-primary', '--yes', '--json', '--report', page],
        { withinMs: slowly },
      )
      const report = reportIn(stdout)
      expect(brokenTruths(report), stderr).toEqual([])
      expect(code).toBe(report.verdict.kept ? 0 : 9)
      const { writes, outages, promotions, shares, targets } = report
      const [{ node, shard }] = targets as [{ node: string; shard: string }]
      expect(report.what).toBe(`SIGKILL to ${node} (primary of ${shard})`)
      expect(writes).toMatchObject({ lost: 0, unread: 0, differing: 0, misjudged: 0 })
      expect(writes.acknowledged).toBeGreaterThan(300)
      expect(writes.copiesRead).toBeGreaterThanOrEqual(writes.acknowledged)
      expect(outages).toHaveLength(4 * 3)
      expect(outages.slice(0, 4).map((one) => one.shard)).toEqual([shard, shard, shard, shard])
      const [own] = outages.filter((one) => one.client === 'cache' && one.shard === shard)
      expect(own?.longestGapMs).toBeLessThan(5000)
      expect(own).toMatchObject({ failed: 0, indeterminate: 0 })
      expect(promotions).toEqual([expect.objectContaining({ shard, from: node })])
      expect(promotions[0]?.offsetAfter).toBeGreaterThan(0)
      expect(shares[0]).toMatchObject({ shard, to: promotions[0]?.to })
      expect(shares[0]?.because).toMatch(
        new RegExp(`^${node} \\(primary of ${shard}\\) is dead, ${promotions[0]?.to} is `),
      )
      expect(report.timeline.map(({ because }) => because)).toContain(report.what)
      expect(report.readyAt).toBeGreaterThan(report.faultAt)
      expect(readFileSync(page, 'utf8')).toContain(`<title>Drill: kill-primary on it, `)
      expect(readdirSync(dirname(page)).filter((name) => name.endsWith('.part'))).toEqual([])
      for (const told of ['it is labelled for drills', 'what it may cost: ', 'writing without a fault', 'reading ']) {
        expect(stderr).toContain(told)
      }
      expect(await drillKeys(it, shard)).toEqual([])
    },
    slowly,
  )

  test(
    'that is killed halfway leaves nothing broken: the fault heals, and the next drill runs',
    async () => {
      await readyAgain(it)
      const node = (await it.status('it')).shards.find(({ id }) => id === 'shard-2')?.primary ?? ''
      const running = it.start(['drill', 'it', 'freeze', '--for', '5s', '--node', node, '--yes', '--clients', 'cache'])
      await eventually(() => running.stderr().includes(`  fault: SIGSTOP to ${node}`), { withinMs: 30_000 })
      running.signal('SIGKILL')
      await running.ended
      await eventually(async () => (await faultsOf(it))[0]?.healedAt !== null, { withinMs: 20_000, what: 'healed' })
      expect((await faultsOf(it))[0]).toMatchObject({ fault: 'freeze', trouble: null })
      await readyAgain(it)
      await eventually(() => clientsOf(it).length === 0)
      const left = await drillKeys(it, 'shard-2')
      expect(left.length).toBeGreaterThan(0)
      for (const { ttlMs } of left) {
        expect(ttlMs).toBeGreaterThan(0)
        expect(ttlMs).toBeLessThanOrEqual(3_600_000)
      }
      const { stdout, stderr } = await it.run([
        'drill',
        'it',
        'kill-replica',
        '--yes',
        '--json',
        '--clients',
        'cache,durable',
      ])
      expect(brokenTruths(reportIn(stdout)), stderr).toEqual([])
    },
    slowly,
  )

  test(
    'says what stands against it, and does nothing',
    async () => {
      await readyAgain(it)
      const before = (await faultsOf(it)).length
      expect(await it.refused('NOT_FOUND', ['drill', 'shop', 'freeze'])).toContain('only it')
      expect(await it.refused('REFUSED_NOT_CONFIRMED', ['drill', 'it', 'kill-primary'])).toContain('say --yes')
      expect(await it.refused('REFUSED_DRILL', ['drill', 'it', 'freeze', '--node', 'node-9', '--yes'])).toContain(
        'no node node-9',
      )
      expect((await faultsOf(it)).length).toBe(before)
    },
    slowly,
  )

  test('lists every fault with what it costs', async () => {
    const { stdout } = await it.ok(['drill', '--list'])
    for (const name of faultNames) expect(stdout).toContain(`${name}: `)
    expect(stdout.match(/^ {2}costs /gm)).toHaveLength(faultNames.length)
    expect(Object.keys(JSON.parse((await it.ok(['drill', '--list', '--json'])).stdout) as object)).toEqual(faultNames)
  })
})
