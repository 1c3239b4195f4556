import { describe, expect, test } from 'vitest'
import type { Action, Plan } from '../../src/index.ts'
import { ownedBy, ownedDirectives, readConfigText, runsAsRendered } from '../../src/index.ts'
import { planTurn } from '../../src/plan/plan.ts'
import type { PlanInput } from '../../src/plan/step.ts'
import type { Break, Deployment } from '../support/deployment.ts'
import { aDeployment, agentOf, dead, factsOf, linkDown, now, withFacts, withFiles } from '../support/deployment.ts'

type Mode = 'none' | 'rdb' | 'aof' | 'hybrid'
const modes: readonly Mode[] = ['none', 'rdb', 'aof', 'hybrid']

/** What a node has on its disk and what its engine is set to: the part of an engine that a change of persistence moves. */
interface Disk {
  config: Record<string, string>
  file: Record<string, string>
  aof: boolean
  rdb: boolean
  /** A child is at work, and what it leaves when it is done. */
  child: 'snapshot' | 'log' | null
  savedAgoSeconds: number | null
}

const logs = (mode: Mode): boolean => mode === 'aof' || mode === 'hybrid'

/** All nodes of a deployment whose spec was edited from one persistence to another, with disks that obey. */
class Changing {
  readonly #to: Deployment
  readonly #owned: Record<string, string>
  readonly disks = new Map<string, Disk>()

  constructor(from: Mode, to: Mode) {
    this.#to = aDeployment({ spec: { persistence: to } })
    this.#owned = ownedDirectives(this.#to.spec)
    const before = ownedDirectives(aDeployment({ spec: { persistence: from } }).spec)
    for (const { id } of this.#to.document.nodes) {
      const config = { ...ownedBy(id, before) }
      this.disks.set(id, {
        config,
        file: { ...config },
        aof: logs(from),
        rdb: from === 'rdb',
        child: null,
        savedAgoSeconds: null,
      })
    }
  }

  input(...breaks: Break[]): PlanInput {
    const world = this.#to.with(
      (draft) => {
        for (const [id, disk] of this.disks) {
          Object.assign(agentOf(draft, id), { config: { ...disk.config }, written: { ...disk.file }, given: disk.file })
          Object.assign(agentOf(draft, id).files, { aof: disk.aof, rdb: disk.rdb })
          Object.assign(factsOf(draft, id).disk, {
            logs: disk.config['appendonly'] === 'yes',
            saving: disk.child === 'snapshot',
            rewriting: disk.child === 'log',
            savedAgoSeconds: disk.savedAgoSeconds,
          })
        }
      },
      ...breaks,
    )
    const files = new Map(
      this.#to.document.nodes.map(({ id }) => [id, { config: textOf(ownedBy(id, this.#owned)), users: '' }]),
    )
    return { ...world.input(), files, owned: this.#owned }
  }

  plan(...breaks: Break[]): Plan {
    return planTurn(this.input(...breaks))
  }

  /** What the engines and agents do. A child that was at work is done one turn later. */
  act(actions: readonly Action[]): void {
    for (const disk of this.disks.values()) {
      if (disk.child === 'log') disk.aof = true
      if (disk.child === 'snapshot') Object.assign(disk, { rdb: true, savedAgoSeconds: 0 })
      disk.child = null
    }
    for (const action of actions) {
      const disk = this.disks.get(action.node)
      if (disk === undefined) throw new Error(`there is no ${action.node}`)
      if (action.kind === 'save') disk.child = 'snapshot'
      else if (action.kind === 'begin-log') {
        disk.config['appendonly'] = 'yes'
        disk.child = 'log'
      } else if (action.kind === 'end-log') {
        Object.assign(disk.config, { appendonly: 'no', save: action.save })
        disk.aof = false
      } else if (action.kind === 'drop-files') disk[action.what] = false
      else if (action.kind === 'configure') {
        Object.assign(disk.config, action.set)
        disk.file = readConfigText(action.files.config)
      } else throw new Error(`nobody asked to ${action.kind}`)
    }
  }
}

const textOf = (directives: Readonly<Record<string, string>>): string =>
  Object.entries(directives)
    .map(([name, value]) => `${name} "${value}"`)
    .join('\n')

const edits = modes.flatMap((from) => modes.filter((to) => to !== from).map((to) => [from, to] as const))

/** Turns until nothing is left to do; what was planned in each. */
function run(changing: Changing, seen: (plan: Plan) => void = () => {}): Plan[] {
  const plans: Plan[] = []
  for (let turn = 0; turn < 100; turn++) {
    const plan = changing.plan()
    seen(plan)
    if (plan.actions.length === 0 && runsAsRendered(changing.input())) return plans
    plans.push(plan)
    changing.act(plan.actions)
  }
  throw new Error(`no end: ${plans.at(-1)?.because}`)
}

describe.each(edits)('from %s to %s', (from, to) => {
  test('ends as the spec says, in the file and in the engine, and with the files of that mode', () => {
    const changing = new Changing(from, to)
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
    const changing = new Changing(from, to)
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
    if (from === 'none' || to === 'none') return expect(run(new Changing(from, to)).length).toBeGreaterThan(0)
    const changing = new Changing(from, to)
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
    const changing = new Changing(from, to)
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
  const plans = run(new Changing('aof', 'hybrid'))
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
    const plan = new Changing('rdb', 'hybrid').plan(linkDown('node-4', 500))
    expect(plan.actions).toEqual([])
    expect(plan.because).toBe('persistence is changed once all is well: node-4 has lost its link')
  })

  test('while another engine of the host writes, by itself too', () => {
    const saving = onDisk('node-2', {
      logs: false,
      rewriting: false,
      rewriteOk: true,
      saving: true,
      saveOk: true,
      savedAgoSeconds: null,
    })
    const plan = new Changing('rdb', 'hybrid').plan(saving)
    expect(plan.actions).toEqual([])
    expect(plan.because).toBe('node-4 waits until node-2 has saved')
  })

  test('where the machine has no memory for what is written meanwhile, and nowhere else', () => {
    const big = withFacts('node-4', { memoryBytes: 200 * 1024 ** 2 })
    const plan = new Changing('hybrid', 'rdb').plan(big, free(100 * 1024 ** 2))
    expect(plan.actions).toMatchObject([{ kind: 'save', node: 'node-5' }])
    const nowhere = new Changing('hybrid', 'rdb').plan(free(10 * 1024 ** 2))
    expect(nowhere.actions).toEqual([])
    expect(nowhere.because).toBe(
      'persistence of node-4 is not changed yet: a save needs 17 MB of memory for what is written meanwhile, and 10 MB are free',
    )
    expect(new Changing('hybrid', 'rdb').plan(free(null)).actions).toHaveLength(1)
  })

  test('half a minute after a snapshot that failed, and the log goes on', () => {
    const failed: Break = (world) => {
      factsOf(world, 'node-4').disk.saveOk = false
      agentOf(world, 'node-4').saveAskedAt = now - 10_000
    }
    const changing = new Changing('hybrid', 'rdb')
    expect(changing.plan(failed).actions).toMatchObject([{ kind: 'save', node: 'node-5' }])
    const later: Break = (world) => {
      failed(world)
      agentOf(world, 'node-4').saveAskedAt = now - 31_000
    }
    expect(changing.plan(later).actions).toMatchObject([{ kind: 'save', node: 'node-4' }])
  })

  test('a snapshot that is old by now is taken again', () => {
    const changing = new Changing('hybrid', 'rdb')
    const disk = changing.disks.get('node-4') as Disk
    Object.assign(disk, { rdb: true, savedAgoSeconds: 121 })
    expect(changing.plan().actions).toMatchObject([{ kind: 'save', node: 'node-4' }])
    disk.savedAgoSeconds = 120
    expect(changing.plan().actions).toMatchObject([{ kind: 'end-log', node: 'node-4', save: '954 1 318 10 64 10000' }])
  })

  test('a log from before is deleted before a new one is begun', () => {
    const plan = new Changing('rdb', 'hybrid').plan(withFiles('node-4', { aof: true }))
    expect(plan.actions).toEqual([{ kind: 'drop-files', node: 'node-4', what: 'aof' }])
  })
})
