import type { Action, Plan, SpecText } from '../../src/index.ts'
import { ownedBy, ownedDirectives, readConfigText, runsAsRendered } from '../../src/index.ts'
import { planTurn } from '../../src/plan/plan.ts'
import type { PlanInput } from '../../src/plan/step.ts'
import type { Break, Deployment, DeploymentOptions } from './deployment.ts'
import { aDeployment, agentOf, factsOf } from './deployment.ts'

/** What a node has on its disk and what its engine is set to: the part of an engine that a change of persistence moves. */
export interface Disk {
  config: Record<string, string>
  file: Record<string, string>
  aof: boolean
  rdb: boolean
  /** A child is at work, and what it leaves when it is done. */
  child: 'snapshot' | 'log' | null
  savedAgoSeconds: number | null
}

/** All nodes of a deployment whose spec was edited from one persistence to another, with disks that obey. */
export class Changing {
  #to: Deployment
  readonly #owned: Record<string, string>
  readonly disks = new Map<string, Disk>()

  constructor(from: SpecText, to: SpecText, options: Omit<DeploymentOptions, 'spec'> = {}) {
    this.#to = aDeployment({ ...options, spec: to })
    this.#owned = ownedDirectives(this.#to.spec)
    const before = ownedDirectives(aDeployment({ ...options, spec: from }).spec)
    for (const { id } of this.#to.document.nodes) {
      const config = { ...ownedBy(id, before) }
      this.disks.set(id, {
        config,
        file: { ...config },
        aof: config['appendonly'] === 'yes',
        rdb: config['save'] !== '',
        child: null,
        savedAgoSeconds: null,
      })
    }
  }

  /** The same disks under another layout of roles: who is primary of which shard. */
  under(options: DeploymentOptions): this {
    this.#to = aDeployment(options)
    return this
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

/** Turns until nothing is left to do; what was planned in each. */
export function run(changing: Changing, seen: (plan: Plan) => void = () => {}): Plan[] {
  const plans: Plan[] = []
  for (let turn = 0; turn < 100; turn++) {
    const plan = changing.plan()
    seen(plan)
    const isAtWork = [...changing.disks.values()].some(({ child }) => child !== null)
    if (plan.actions.length === 0 && !isAtWork && runsAsRendered(changing.input())) return plans
    plans.push(plan)
    changing.act(plan.actions)
  }
  throw new Error(`no end: ${plans.at(-1)?.because}`)
}
