import { rmSync } from 'node:fs'
import { dirname } from 'node:path'
import type { FaultEnvelope, FaultSeen, FaultTarget, MachineSeen } from '@holdfast/core'
import { HoldfastError, nodePaths } from '@holdfast/core'
import type { EngineBinary } from '../../binary/engine-binary.ts'
import type { Clock } from '../../clock.ts'
import type { Log } from '../../log.ts'
import { bootId, isRunning, processesIn, signalExactly } from '../../proc.ts'
import { cgroupOf } from './cgroup.ts'
import type { FaultCase, FaultRecord, FaultScene, FoundTarget, HostMember } from './fault-file.ts'
import { faultPath, readFault, readFaults, recordOf, seenFault, writeFault } from './fault-file.ts'
import type { FaultHost, SceneKnown } from './fault-host.ts'
import type { Injury } from './injury.ts'
import { injuryOf } from './injury.ts'
import { lookAtCut, lookAtMachine } from './machine.ts'
import { startKeeper } from './start-keeper.ts'

/** A keeper that is told to heal has done so within this, or says what is in its way. */
const healWithinMs = 30_000
/** How often it looks whether a keeper was killed: what that has left behind is healed here. */
const leftOverEveryMs = 2000
/** Faults that are over and still told of. */
const keptMax = 20

export interface LocalFaultsOptions {
  readonly clock: Clock
  readonly home: string
  /** Where faults are written down: beside what the agent must not forget. */
  readonly directory: string
  readonly nodeDir: (deployment: string, node: string) => string
  /** Lets an order in, or refuses it: the same door as for actions. */
  readonly enter: (envelope: FaultEnvelope) => () => void
  readonly binary: (deployment: string) => Promise<EngineBinary>
  /** Passwords of the engine's users. */
  readonly secrets: (deployment: string) => Readonly<Record<string, string>>
  /** Who is around this host; absent: it is the machine of a controller, and no agent of its own is there. */
  readonly member?: (deployment: string) => HostMember
  readonly log: Pick<Log, 'warn'>
}

/** The faults of one machine. Each lives in a process of its own; here they are begun and told of. */
export class LocalFaults implements FaultHost {
  readonly #options: LocalFaultsOptions
  readonly #over = new AbortController()

  constructor(options: LocalFaultsOptions) {
    this.#options = options
  }

  /** Heals what killed keepers have left behind, from now on: whoever ordered it may not reach this machine any more. */
  async run(): Promise<void> {
    const { clock, log } = this.#options
    while (!this.#over.signal.aborted) {
      for (const record of readFaults(this.#options.directory).filter(isLeftOver)) {
        const { id: fault, deployment } = record.order
        const trouble = await this.#healLeftover(record).catch(messageOf)
        if (trouble !== null) log.warn({ deployment, fault, trouble }, 'fault not healed yet')
      }
      await clock.sleep(leftOverEveryMs, this.#over.signal)
    }
  }

  close(): void {
    this.#over.abort()
  }

  now(): number {
    return this.#options.clock.now()
  }

  async machine(deployment: string, { nodes, controller }: Omit<SceneKnown, 'network'>): Promise<MachineSeen> {
    const { nodeDir, member } = this.#options
    const directories = nodes.map(({ id }) => nodeDir(deployment, id))
    const cut = member === undefined ? undefined : await lookAtCut(nodes.map(({ host }) => host))
    return { ...lookAtMachine(directories, controller), ...(cut === undefined ? {} : { cut }) }
  }

  async inject(envelope: FaultEnvelope, known: SceneKnown): Promise<FaultSeen> {
    const { enter, secrets } = this.#options
    const { deployment, order, notAfter } = envelope
    const gate = enter(envelope)
    const injury = await injuryOf(order.fault)
    const fault = { order, scene: await this.#sceneOf(envelope, known), secrets: secrets(deployment) }
    this.#forgetOldest(deployment)
    gate()
    try {
      if (injury.isOverAtOnce === true) return await this.#injectAtOnce(injury, fault)
      return await this.#injectKept(fault, notAfter)
    } catch (error) {
      throw new HoldfastError('REFUSED_DRILL', `${order.fault} could not be done: ${messageOf(error)}`, {
        deployment,
        fault: order.fault,
      })
    }
  }

  async #injectAtOnce(injury: Injury, fault: FaultCase): Promise<FaultSeen> {
    const record = recordOf(fault, this.#options.clock.wall())
    await injury.inject(fault, new AbortController().signal)
    const over = { ...record, healedAt: Math.round(this.#options.clock.wall()) }
    try {
      writeFault(faultPath(this.#options.directory, fault.order.id), over)
    } catch {
      // It is done; a disk that does not take what is written down of it does not make it undone.
    }
    return seenFault(over)
  }

  async #injectKept(fault: FaultCase, notAfter: number): Promise<FaultSeen> {
    const path = faultPath(this.#options.directory, fault.order.id)
    const word = await startKeeper({ ...fault, path, notAfter })
    if ('trouble' in word) throw new Error(word.trouble)
    const record = readFault(path)
    if (record === undefined) throw new Error('what was written down of it is gone')
    return seenFault(record)
  }

  async heal(deployment: string, id: string): Promise<FaultSeen> {
    const record = this.#records(deployment).find(({ order }) => order.id === id)
    if (record === undefined) throw this.#lost(id)
    if (record.healedAt !== null) return seenFault(record)
    if (isKept(record) && signalExactly(record.keeper, 'SIGTERM')) await this.#awaitKeeper(record)
    else await this.#healLeftover(record)
    return seenFault(readFault(faultPath(this.#options.directory, id)) ?? record)
  }

  seen(deployment: string): Promise<readonly FaultSeen[]> {
    return Promise.resolve(this.#records(deployment).map(seenFault))
  }

  #records(deployment: string): FaultRecord[] {
    return readFaults(this.#options.directory).filter(({ order }) => order.deployment === deployment)
  }

  async #sceneOf({ deployment, order }: FaultEnvelope, known: SceneKnown): Promise<FaultScene> {
    const { home, nodeDir, binary, member = () => null } = this.#options
    const targets = order.targets.map((target) => findTarget(target, nodeDir(deployment, target.id)))
    const { server, env } = await binary(deployment)
    const deploymentDir = dirname(nodeDir(deployment, known.nodes[0]?.id ?? 'node-1'))
    return { ...known, home, deploymentDir, targets, engine: { server, env }, member: member(deployment) }
  }

  /** It heals by itself; only its word that it has is waited for. */
  async #awaitKeeper(record: FaultRecord): Promise<void> {
    const { clock, directory } = this.#options
    const deadline = clock.now() + healWithinMs
    while (isKept(record) && clock.now() < deadline) {
      const { healedAt = null, trouble = null } = readFault(faultPath(directory, record.order.id)) ?? {}
      if (healedAt !== null || trouble !== null) return
      await clock.sleep(20)
    }
  }

  /** Its keeper was killed: what was written down is enough to undo it. */
  async #healLeftover(record: FaultRecord): Promise<string | null> {
    const { clock, directory, secrets } = this.#options
    const { order, scene } = record
    const injury = await injuryOf(order.fault)
    const fault: FaultCase = {
      order,
      scene: ofThisBoot(record) ? scene : withoutProcesses(scene),
      secrets: secrets(order.deployment),
    }
    const trouble = await injury.heal(fault).then(() => null, messageOf)
    const healedAt = trouble === null ? Math.round(clock.wall()) : null
    writeFault(faultPath(directory, order.id), { ...record, healedAt, trouble })
    return trouble
  }

  #forgetOldest(deployment: string): void {
    const over = this.#records(deployment).filter(({ healedAt }) => healedAt !== null)
    for (const { order } of over.slice(keptMax - 1)) {
      rmSync(faultPath(this.#options.directory, order.id), { force: true })
    }
  }

  #lost(id: string): HoldfastError {
    return new HoldfastError('NOT_FOUND', `there is no fault ${id.slice(0, 80)}`, { id: id.slice(0, 80) })
  }
}

/**
 * The target with its process as it is now, known exactly. A status is a moment old, and a pid may be anybody's since:
 * only a process that works in the node's own directory, and is not the child of another that does, is its engine.
 */
function findTarget(target: FaultTarget, nodeDir: string): FoundTarget {
  const engine = processesIn(nodePaths(nodeDir).data).find(({ pid }) => pid === target.pid)
  if (engine !== undefined) return { ...target, startTime: engine.startTime, nodeDir, cgroup: cgroupOf(target.pid) }
  throw new HoldfastError(
    'REFUSED_UNSAFE',
    `process ${target.pid} is not the engine of ${target.id}: nothing was done. Look again with "holdfast status".`,
    { node: target.id, pid: target.pid },
  )
}

const ofThisBoot = (record: FaultRecord): boolean => record.bootId === bootId()

const isLeftOver = (record: FaultRecord): boolean => record.healedAt === null && !isKept(record)

const isKept = (record: FaultRecord): boolean => ofThisBoot(record) && isRunning(record.keeper)

/** After a restart of the machine every pid is somebody else's. */
const withoutProcesses = (scene: FaultScene): FaultScene => ({
  ...scene,
  targets: scene.targets.map((target) => ({ ...target, startTime: -1 })),
  member: scene.member === null ? null : { ...scene.member, agent: { ...scene.member.agent, startTime: -1 } },
})

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))
