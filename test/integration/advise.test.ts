import { newSecrets, parseSpec } from '@holdfast/core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { measureDeployment } from '../../packages/control/src/engine/measure.ts'
import { readSpecFile } from '../../packages/control/src/store/read-spec.ts'
import { findTestEngine } from '../support/engines.ts'
import { eventually } from '../support/eventually.ts'
import type { OneEngine } from '../support/one-engine.ts'
import { startThreeEngines } from '../support/one-engine.ts'
import { Program } from '../support/program.ts'

/* A Cluster of two primaries and a replica that somebody runs, and the advice to them. */
describe('advice', () => {
  const secrets = newSecrets(() => 'p:w/d')
  let it: Program
  let engines: [OneEngine, OneEngine, OneEngine]
  let address: string

  beforeAll(async () => {
    it = new Program()
    engines = await startThreeEngines({ binary: await findTestEngine(), secrets })
    const { node } = engines[0]
    // They tell each other who owns what; until all have heard, what is seen afterwards would be a change.
    await eventually(async () => {
      for (const { ask } of engines) {
        const view = await ask('app', 'CLUSTER', 'NODES')
        expect(view.match(/ \d+-\d+/g)).toHaveLength(2)
      }
      return true
    })
    address = `redis://app:${encodeURIComponent(secrets.app)}@${node.address}:${node.port}`
  })

  afterAll(async () => {
    await it?.close()
    await Promise.all(engines?.map((engine) => engine.stop()) ?? [])
  })

  test('is measured on all primaries of a running Cluster, as the application, and nothing is changed there', async () => {
    const before = await Promise.all(engines.map(({ ask }) => ask('app', 'CLUSTER', 'NODES')))
    const empty = await measureDeployment(address)
    const value = 'x'.repeat(1_000_000)
    // Each key lies on one of the two; the other one points there.
    for (const key of ['a', 'b', 'c', 'd', 'e', 'f']) for (const { ask } of engines) await ask('app', 'SET', key, value)
    const { primaries, dataBytes, writeShare } = await measureDeployment(address)
    expect(primaries).toBe(2)
    expect(dataBytes - empty.dataBytes).toBeGreaterThan(6_000_000)
    expect(dataBytes - empty.dataBytes).toBeLessThan(12_000_000)
    expect(writeShare).toBe(1)
    // A node tells of the others in any order.
    const owned = (views: readonly string[]) => views.map((view) => view.match(/ \d+-\d+/g)?.toSorted())
    expect(owned(await Promise.all(engines.map(({ ask }) => ask('app', 'CLUSTER', 'NODES'))))).toEqual(owned(before))
  })

  test('is printed as a spec that can be planned, with its reasons in comments', async () => {
    const { stdout, stderr } = await it.ok(['advise', '--from', address, '--data', '40gb', '--name', 'basket'])
    expect(stderr).toContain('Measured on 2 primaries')
    expect(stdout).toContain('# An odd number of primaries')
    const file = it.file('basket.yaml', stdout)
    expect(parseSpec(readSpecFile(file))).toMatchObject({ name: 'basket', topology: 'cluster', shards: 9 })
    expect((await it.ok(['plan', file])).stdout).toContain('basket')
  })

  test('for programs has the same reasons as values', async () => {
    const { stdout } = await it.ok(['advise', '--data', '1gb', '--ops', '1000', '--outage', 'restart', '--json'])
    const advice = JSON.parse(stdout) as { spec: Record<string, unknown>; reasons: string[]; needs: object }
    expect(advice.spec).toMatchObject({ topology: 'standalone' })
    expect(advice.needs).toMatchObject({ dataBytes: 1024 ** 3, opsPerSecond: 1000 })
    expect(advice.reasons[0]).toContain('--growth 5%')
  })

  test('without what only people know is refused, with the option to say it by', async () => {
    const refused = async (...args: string[]): Promise<string> => {
      const { code, stdout, stderr } = await it.run(['advise', ...args])
      expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
      return stderr
    }
    expect(await refused('--data', '1gb')).toContain('say --ops, or --from')
    expect(await refused('--data', '1 gb', '--ops', '1')).toContain('--data "1 gb": write a size such as 512mb')
    expect(await refused('--data', '1gb', '--ops', '1', '--multi-key', 'all')).toContain('none, together, any')
    expect(await refused('--from', 'http://x:secret@host')).not.toContain('secret')
  })

  test('from an engine that does not answer says so, without the password', async () => {
    const { code, stderr } = await it.run(['advise', '--from', 'redis://:secret@127.0.0.1:1'])
    expect(code).toBe(4)
    expect(stderr).toContain('127.0.0.1:1 cannot be asked')
    expect(stderr).not.toContain('secret')
  })
})
