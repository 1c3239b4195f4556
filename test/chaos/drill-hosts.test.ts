/* Drills between hosts: what is cut, and that the drill's own verdict on it is kept. Times are told, and not judged here. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { DrillReport, FaultName, Status } from '@holdfast/core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { brokenTruths, reportIn } from '../support/drilled.ts'
import { eventually } from '../support/eventually.ts'
import { Fabric } from '../support/fabric/fabric.ts'
import { Resident } from '../support/fabric/resident.ts'

const withinMs = 240_000

let fabric: Fabric
let controller: Resident

beforeAll(async () => {
  fabric = await Fabric.up()
  const at = fabric.host('d')
  controller = new Resident(fabric, at, 'controller')
  controller.start(['serve', '--address', at.address])
  await eventually(() => controller.get('/hosts'), { withinMs: 60_000, everyMs: 200, what: 'the controller answers' })
  for (const host of ['a', 'b', 'c'].map((name) => fabric.host(name))) {
    const token = controller.holdfast(['token', '--host', host.name, '--zone', host.zone])
    new Resident(fabric, host, 'agent').start(['agent', '--token', '-', '--address', host.address], token)
  }
  await eventually(areHere, { withinMs: 60_000, everyMs: 200, what: 'all hosts have joined' })
  const file = join(fabric.folder, 'shop.json')
  writeFileSync(
    file,
    JSON.stringify({ name: 'shop', drills: true, memory: { maxPerNode: '64mb' }, timeouts: { node: '2s' } }),
  )
  controller.holdfast(['up', file, '--hosts', 'a,b,c', '--detach'], 120_000)
  await eventually(isReady, { withinMs: 60_000, everyMs: 200, what: 'ready' })
}, withinMs)

afterAll(async () => {
  controller?.close()
  await fabric?.close()
})

async function areHere(): Promise<boolean> {
  const { hosts } = await controller.get<{ hosts: { state: string }[] }>('/hosts')
  return hosts.filter(({ state }) => state === 'here').length === 3
}

const isReady = async (): Promise<boolean> => (await controller.get<Status>('/deployments/shop')).ready === 'yes'

/** The report says whether its promises were kept; a broken one ends the command with another code. */
function drill(fault: FaultName, node: string): DrillReport {
  const words = ['drill', 'shop', fault, '--node', node, '--for', '5s', '--clients', 'cache', '--yes', '--json']
  try {
    return reportIn(controller.holdfast(words, 120_000))
  } catch (error) {
    const { stdout = '', stderr = '' } = error as { stdout?: string; stderr?: string }
    if (!stdout.includes('"promises"')) throw new Error(`${stdout}\n${stderr}`, { cause: error })
    return reportIn(stdout)
  }
}

// The second falls on a host that has one primary still: with two of three nobody can elect another.
test.each([
  ['cut-host', 'node-1'],
  ['cut-peers', 'node-3'],
] as const)(
  '%s: another host takes over, nothing is lost that may not be, and no rule is left',
  async (fault, node) => {
    const report = drill(fault, node)
    for (const { what, kept, found } of report.promises) console.log(`${kept ? 'kept  ' : 'BROKEN'} ${what}: ${found}`)
    expect(brokenTruths(report)).toEqual([])
    expect(report.promotions.length).toBeGreaterThan(0)
    for (const host of fabric.hosts) expect(fabric.run(host, ['nft', 'list', 'tables'])).toBe('')
    await eventually(async () => (await areHere()) && (await isReady()), { withinMs: 60_000, what: 'all is well' })
  },
  withinMs,
)
