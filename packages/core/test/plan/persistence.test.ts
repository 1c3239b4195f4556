import { describe, expect, test } from 'vitest'
import { ownedBy, ownedDirectives } from '../../src/index.ts'
import type { PlanInput } from '../../src/plan/step.ts'
import type { Disk } from '../support/changing.ts'
import { Changing, run } from '../support/changing.ts'
import type { Break } from '../support/deployment.ts'
import { aDeployment, agentOf, dead, factsOf, linkDown, now, withFacts, withFiles } from '../support/deployment.ts'

type Mode = 'none' | 'rdb' | 'aof' | 'hybrid'
const modes: readonly Mode[] = ['none', 'rdb', 'aof', 'hybrid']

const logs = (mode: Mode): boolean => mode === 'aof' || mode === 'hybrid'

const changingTo = (from: Mode, to: Mode): Changing => new Changing({ persistence: from }, { persistence: to })

const edits = modes.flatMap((from) => modes.filter((to) => to !== from).map((to) => [from, to] as const))

describe.each(edits)('from %s to %s', (from, to) => {
  test('ends as the spec says, in the file and in the engine, and with the files of that mode', () => {
    const changing = changingTo(from, to)
    run(changing)
    for (const [id, disk] of changing.disks) {
      const wanted = ownedBy(id, ownedDirectives(aDeployment({ spec: { persistence: to } }).spec))
      expect(disk.config).toEqual(wanted)
      expect(disk.file).toEqual(wanted)
      expect(disk.aof, id).toBe(logs(to))
      if (to === 'rdb') expect(disk.rdb, id).toBe(from !== 'none')
      if (to === 'none') expect(disk.rdb, id).toBe(false)
    }
  })

  test('a node that is killed between any two turns is started from a file that has its data', () => {
    const changing = changingTo(from, to)
    run(changing, () => {
      for (const id of ['node-1', 'node-4']) {
        const disk = changing.disks.get(id) as Disk
        const [start] = changing.plan(dead('node-1'), dead('node-4')).actions.filter(({ node }) => node === id)
        if (start?.kind !== 'start') continue
        const readsLog = start.loadAof === true || (start.loadRdb !== true && logs(to))
        const hasFile = readsLog ? disk.aof : disk.rdb
        if (from !== 'none' && to !== 'none') expect(hasFile, JSON.stringify(disk)).toBe(true)
      }
    })
  })

  test('somebody who starts a node again with the file that it has starts it with its data', () => {
    if (from === 'none' || to === 'none') return expect(run(changingTo(from, to)).length).toBeGreaterThan(0)
    const changing = changingTo(from, to)
    run(changing, () => {
      for (const [id, disk] of changing.disks) {
        const reads = disk.file['appendonly'] === 'yes' ? disk.aof : disk.rdb
        // The log is ended in the engine a moment before its file says so; Holdfast writes that in the next turn.
        if (disk.config['appendonly'] === disk.file['appendonly']) expect(reads, id).toBe(true)
      }
    })
  })

  test('one node of the host saves at a time, and replicas before their primary', () => {
    const saved: string[] = []
    const changing = changingTo(from, to)
    run(changing, (plan) => {
      const heavy = plan.actions.filter(({ kind }) => kind === 'save' || kind === 'begin-log')
      const atWork = [...changing.disks.values()].filter(({ child }) => child !== null).length
      expect(heavy.length + atWork).toBeLessThanOrEqual(1)
      saved.push(...heavy.map(({ node }) => node))
    })
    if (saved.length > 0) expect(saved).toEqual(['node-4', 'node-5', 'node-6', 'node-1', 'node-2', 'node-3'])
  })
})

test('aof and hybrid differ in one directive, which is set at once', () => {
  const plans = run(changingTo('aof', 'hybrid'))
  expect(plans).toHaveLength(1)
  expect(plans[0]?.actions).toMatchObject(
    Array.from({ length: 6 }, () => ({ kind: 'configure', set: { 'aof-use-rdb-preamble': 'yes' } })),
  )
})

describe('a change of persistence waits', () => {
  const onDisk =
    (id: string, disk: Partial<PlanInput['picture']['nodes'][number]['facts'] & object>['disk']): Break =>
    (world) => {
      Object.assign(factsOf(world, id).disk, disk)
    }
  const free =
    (bytes: number | null): Break =>
    (world) => {
      for (const node of world.observed.nodes) if (node.agent !== null) node.agent.freeMemoryBytes = bytes
    }

  test('until all is well', () => {
    const plan = changingTo('rdb', 'hybrid').plan(linkDown('node-4', 500))
    expect(plan.actions).toEqual([])
    expect(plan.because).toBe('persistence is changed once all is well: node-4 has lost its link')
  })

  test('while another engine of the host writes, by itself too', () => {
    const saving = onDisk('node-2', {
      logs: false,
      logOk: true,
      rewriting: false,
      rewriteOk: true,
      saving: true,
      saveOk: true,
      savedAgoSeconds: null,
    })
    const plan = changingTo('rdb', 'hybrid').plan(saving)
    expect(plan.actions).toEqual([])
    expect(plan.because).toBe('node-4 waits until node-2 has saved')
  })

  test('where the machine has no memory for what is written meanwhile, and nowhere else', () => {
    const big = withFacts('node-4', { memoryBytes: 200 * 1024 ** 2 })
    const plan = changingTo('hybrid', 'rdb').plan(big, free(100 * 1024 ** 2))
    expect(plan.actions).toMatchObject([{ kind: 'save', node: 'node-5' }])
    const nowhere = changingTo('hybrid', 'rdb').plan(free(10 * 1024 ** 2))
    expect(nowhere.actions).toEqual([])
    expect(nowhere.because).toBe(
      'persistence of node-4 is not changed yet: a save needs 17 MB of memory for what is written meanwhile, and 10 MB are free',
    )
    expect(changingTo('hybrid', 'rdb').plan(free(null)).actions).toHaveLength(1)
  })

  test('half a minute after a snapshot that failed, and the log goes on', () => {
    const failed: Break = (world) => {
      factsOf(world, 'node-4').disk.saveOk = false
      agentOf(world, 'node-4').saveAskedAt = now - 10_000
    }
    const changing = changingTo('hybrid', 'rdb')
    expect(changing.plan(failed).actions).toMatchObject([{ kind: 'save', node: 'node-5' }])
    const later: Break = (world) => {
      failed(world)
      agentOf(world, 'node-4').saveAskedAt = now - 31_000
    }
    expect(changing.plan(later).actions).toMatchObject([{ kind: 'save', node: 'node-4' }])
  })

  test('a snapshot that is old by now is taken again', () => {
    const changing = changingTo('hybrid', 'rdb')
    const disk = changing.disks.get('node-4') as Disk
    Object.assign(disk, { rdb: true, savedAgoSeconds: 121 })
    expect(changing.plan().actions).toMatchObject([{ kind: 'save', node: 'node-4' }])
    disk.savedAgoSeconds = 120
    expect(changing.plan().actions).toMatchObject([{ kind: 'end-log', node: 'node-4', save: '954 1 318 10 64 10000' }])
  })

  test('a log from before is deleted before a new one is begun', () => {
    const plan = changingTo('rdb', 'hybrid').plan(withFiles('node-4', { aof: true }))
    expect(plan.actions).toEqual([{ kind: 'drop-files', node: 'node-4', what: 'aof' }])
  })
})
