import type {
  Action,
  AgentNodeSeen,
  EngineFacts,
  EngineSeen,
  Envelope,
  ErrorCode,
  NodePlace,
  ProcessSeen,
  ViewEntry,
} from '@holdfast/core'
import { countSlots, evenSlots, HoldfastError, normalizeSlots, slotCountTotal } from '@holdfast/core'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { ContractWorld } from './contract-world.ts'

/*
 * What an engine port and a host port promise together, stated once for the memory cluster and for real engines. Every
 * test begins with a cluster that actions alone have made, so the actions are tested before anything else is.
 *
 * Time passes only in `eventually`. How long things take is not part of the contract, apart from generous limits.
 */

const startWithinMs = 15_000
const settleWithinMs = 20_000
const answerWithinMs = 15_000
const ranges = evenSlots(3)

export function describeClusterContract(name: string, makeWorld: () => Promise<ContractWorld>): void {
  describe(`a cluster of ${name}`, () => {
    let cluster: Subject

    const begin = async (): Promise<void> => {
      cluster = new Subject(await makeWorld())
    }
    const end = (): Promise<void> => cluster.world.close()

    describe('before it exists', () => {
      beforeEach(begin)
      afterEach(end)

      test('its engines refuse, its agent knows of no process, and nothing was ever recorded', async () => {
        for (const node of cluster.nodes) {
          await cluster.eventually(async () => {
            expect((await cluster.engine(node)).kind).toBe('refused')
          }, settleWithinMs)
          expect(await cluster.agent(node)).toMatchObject({
            process: { state: 'absent' },
            files: { aof: false, rdb: false, claim: null },
            record: null,
            starts: { failures: 0 },
            fencedAt: null,
            failoverAsked: null,
          })
        }
      })

      test('an engine that starts answers as an empty primary that knows only itself', async () => {
        const [first] = cluster.nodes
        await cluster.start(first)
        const facts = await cluster.facts(first)
        expect(facts).toMatchObject({ role: 'primary', link: null, keys: 0, clusterOk: false })
        expect(facts.view).toMatchObject({ me: facts.engineId, open: [] })
        expect(facts.view.entries).toMatchObject([
          { engineId: facts.engineId, role: 'primary', slots: [], health: 'ok' },
        ])
        expect((await cluster.agent(first)).process).toMatchObject({ state: 'running', stopped: false })
      })

      test('starting what runs already is harmless', async () => {
        const [first] = cluster.nodes
        await cluster.start(first)
        const before = await cluster.running(first)
        await cluster.start(first)
        expect(await cluster.running(first)).toMatchObject({ pid: before.pid, startTime: before.startTime })
      })

      test('an engine that cannot start leaves its last words in the start history', async () => {
        const [first] = cluster.nodes
        const good = cluster.world.filesFor(first)
        const files = { ...good, config: `${good.config}\nno-such-directive yes\n` }
        // Whether the agent waits for the end of the process or only for its start is its own business.
        await cluster.act({ kind: 'start', node: first.id, files }).catch(() => undefined)
        await cluster.eventually(async () => {
          const { starts, process } = await cluster.agent(first)
          expect(starts.failures).toBe(1)
          expect(starts.lastAt).not.toBeNull()
          expect(starts.lastError).toContain('no-such-directive')
          expect(process.state).not.toBe('running')
        }, startWithinMs)
        await cluster.start(first)
        await cluster.eventually(async () => {
          expect((await cluster.agent(first)).starts.failures).toBe(0)
        }, settleWithinMs)
      })

      test('slots and an epoch can be given to a node that knows nobody', async () => {
        const [first] = cluster.nodes
        await cluster.start(first)
        await cluster.act({ kind: 'give-slots', node: first.id, slots: [[0, 99]], epoch: 7 })
        const [mine] = (await cluster.facts(first)).view.entries
        expect(mine).toMatchObject({ configEpoch: 7, slots: [[0, 99]] })
      })

      test('an introduction becomes mutual', async () => {
        const [first, second] = cluster.nodes
        await cluster.start(first)
        await cluster.start(second)
        await cluster.act({ kind: 'meet', node: first.id, peers: [endpoint(second)] })
        const ids = [await cluster.idOf(first), await cluster.idOf(second)].sort()
        await cluster.eventually(async () => {
          for (const node of [first, second]) {
            const { entries } = (await cluster.facts(node)).view
            expect(entries.map(({ engineId }) => engineId).sort()).toEqual(ids)
            expect(entries.every(({ handshake, linked }) => !handshake && linked)).toBe(true)
          }
        }, settleWithinMs)
      })
    })

    describe('that nobody harms', () => {
      beforeAll(async () => {
        await begin()
        await cluster.create()
      })
      afterAll(end)

      test('all six agree on who owns which slot and who follows whom', async () => {
        const views = await Promise.all(cluster.nodes.map(async (node) => (await cluster.facts(node)).view.entries))
        for (const view of views) expect(told(view)).toEqual(told(views[0] ?? []))
        expect(countSlots(normalizeSlots(views[0]?.flatMap(({ slots }) => slots) ?? []))).toBe(slotCountTotal)
      })

      test('a replica knows its primary, and the primary its replica', async () => {
        const [primary, replica] = cluster.pair(1)
        const below = await cluster.facts(replica)
        const above = await cluster.facts(primary)
        expect(below.link).toMatchObject({ state: 'up', primaryPort: primary.port })
        expect(below.replid).toBe(above.replid)
        expect(above.replicas).toMatchObject([{ port: replica.port, online: true }])
      })

      test('what was acknowledged reaches the replica', async () => {
        const [primary, replica] = cluster.pair(2)
        await cluster.write(2, 20)
        await cluster.eventually(async () => {
          const [above, below] = [await cluster.facts(primary), await cluster.facts(replica)]
          expect(above.keys).toBe(20)
          expect(below.keys).toBe(20)
          expect(below.offset).toBe(above.offset)
        }, settleWithinMs)
      })

      test('closing a slot that is not open is harmless', async () => {
        const [primary] = cluster.pair(1)
        await cluster.act({ kind: 'close-slot', node: primary.id, slot: 100 })
        expect((await cluster.facts(primary)).view.open).toEqual([])
      })

      test('a setting changed by an action shows when the agent has read it back', async () => {
        const [primary] = cluster.pair(1)
        const files = cluster.world.filesFor(primary)
        await cluster.act({ kind: 'configure', node: primary.id, set: { 'maxmemory-samples': '7' }, files })
        await cluster.eventually(async () => {
          expect((await cluster.agent(primary)).config?.['maxmemory-samples']).toBe('7')
        }, settleWithinMs)
        await cluster.act({ kind: 'load-users', node: primary.id, files })
        await cluster.eventually(async () => {
          expect((await cluster.agent(primary)).usersMatch).toBe(true)
        }, settleWithinMs)
      })
    })

    describe('made of three shards of two', () => {
      beforeEach(async () => {
        await begin()
        await cluster.create()
      })
      afterEach(end)

      test('the agent tells of an exit, and what the dead engine last was', async () => {
        const [primary] = cluster.pair(1)
        await cluster.write(1, 10)
        const { offset } = await cluster.facts(primary)
        await cluster.eventually(async () => {
          expect((await cluster.agent(primary)).record?.offset).toBeGreaterThanOrEqual(offset)
        }, settleWithinMs)
        const { pid } = await cluster.running(primary)
        const before = await cluster.facts(primary)
        await cluster.world.kill(primary)
        await cluster.eventually(async () => {
          expect(cluster.exits).toContainEqual({ deployment: cluster.world.deployment, node: primary.id, pid })
          expect((await cluster.engine(primary)).kind).toBe('refused')
        }, settleWithinMs)
        const { process, record, files } = await cluster.agent(primary)
        expect(process).toMatchObject({ state: 'dead', pid })
        expect(record).toMatchObject({
          engineId: before.engineId,
          role: 'primary',
          ownedSlots: true,
          replid: before.replid,
        })
        expect(files.claim).toMatchObject({ engineId: before.engineId, role: 'primary' })
        expect(files.aof || files.rdb).toBe(true)
      })

      test('force promotes the replica of a killed primary, with all its data', async () => {
        const [primary, replica] = cluster.pair(1)
        await cluster.write(1, 30)
        await cluster.inSync(1)
        const before = await cluster.facts(replica)
        await cluster.world.kill(primary)
        await cluster.eventually(() => cluster.isDead(primary), settleWithinMs)
        await cluster.act({ kind: 'failover', node: replica.id, mode: 'force' })
        await cluster.eventually(() => cluster.hasRole(replica, 'primary'), settleWithinMs)
        const after = await cluster.facts(replica)
        expect(after.keys).toBe(30)
        expect(after.replid).not.toBe(before.replid)
        expect(after.replidBefore).toBe(before.replid)
        expect(me(after).slots).toEqual([ranges[0]])
        expect(me(after).configEpoch).toBeGreaterThan(3)
        expect((await cluster.agent(replica)).failoverAsked?.mode).toBe('force')
        await cluster.eventually(async () => expect(await cluster.world.write('shard-1')).toBe(true), settleWithinMs)
      })

      test('a primary that comes back after its replica took over becomes its replica', async () => {
        const [primary, replica] = cluster.pair(1)
        await cluster.write(1, 5)
        await cluster.inSync(1)
        await cluster.failOver(primary, replica)
        await cluster.write(1, 5)
        await cluster.start(primary)
        await cluster.eventually(async () => {
          const back = await cluster.facts(primary)
          expect(back).toMatchObject({ role: 'replica', keys: 10, link: { state: 'up', primaryPort: replica.port } })
        }, settleWithinMs)
      })

      test('a switchover hands over with nothing lost, and the old primary follows', async () => {
        const [primary, replica] = cluster.pair(3)
        await cluster.write(3, 25)
        await cluster.act({ kind: 'failover', node: replica.id, mode: 'switchover' })
        await cluster.eventually(async () => {
          expect(await cluster.facts(replica)).toMatchObject({ role: 'primary', keys: 25 })
          expect(await cluster.facts(primary)).toMatchObject({
            role: 'replica',
            keys: 25,
            link: { state: 'up', primaryPort: replica.port },
          })
        }, settleWithinMs)
      })

      test('two of three primaries killed: force wins no vote, takeover needs none', async () => {
        const [firstPrimary, firstReplica] = cluster.pair(1)
        const [secondPrimary, secondReplica] = cluster.pair(2)
        await cluster.inSync(1)
        await cluster.inSync(2)
        await cluster.world.kill(firstPrimary)
        await cluster.world.kill(secondPrimary)
        await cluster.eventually(() => cluster.isDead(firstPrimary), settleWithinMs)
        await cluster.eventually(() => cluster.isDead(secondPrimary), settleWithinMs)
        await cluster.act({ kind: 'failover', node: firstReplica.id, mode: 'force' })
        await cluster.pass(1000)
        await cluster.hasRole(firstReplica, 'replica')
        for (const replica of [firstReplica, secondReplica]) {
          await cluster.act({ kind: 'failover', node: replica.id, mode: 'takeover' })
          await cluster.eventually(() => cluster.hasRole(replica, 'primary'), settleWithinMs)
        }
        await cluster.eventually(async () => {
          for (const shard of [1, 2, 3]) expect(await cluster.world.write(`shard-${shard}`)).toBe(true)
        }, settleWithinMs)
        const epochs = await Promise.all(
          [firstReplica, secondReplica].map(async (node) => me(await cluster.facts(node)).configEpoch),
        )
        expect(new Set(epochs).size).toBe(2)
      })

      test('a frozen engine is silent, its process stopped, and it goes on when it is let', async () => {
        const [, replica] = cluster.pair(2)
        const { pid } = await cluster.running(replica)
        await cluster.world.freeze(replica)
        await cluster.eventually(async () => {
          expect((await cluster.engine(replica)).kind).toBe('silent')
          expect((await cluster.agent(replica)).process).toMatchObject({ state: 'running', pid, stopped: true })
        }, settleWithinMs)
        const since = silentSince(await cluster.engine(replica))
        const cpuMs = (await cluster.running(replica)).cpuMs
        await cluster.pass(1000)
        expect(silentSince(await cluster.engine(replica))).toBe(since)
        expect((await cluster.running(replica)).cpuMs).toBe(cpuMs)
        await cluster.world.thaw(replica)
        await cluster.eventually(async () => {
          expect(await cluster.facts(replica)).toMatchObject({ role: 'replica', link: { state: 'up' } })
          expect((await cluster.agent(replica)).process).toMatchObject({ state: 'running', pid, stopped: false })
        }, settleWithinMs)
      })

      test('an action on a frozen engine fails, and says that the engine cannot be reached', async () => {
        const [, replica] = cluster.pair(2)
        await cluster.world.freeze(replica)
        await cluster.refused({ kind: 'failover', node: replica.id, mode: 'takeover' }, 'UNREACHABLE_ENGINE')
      })

      test('a fence kills exactly the process that it names', async () => {
        const [, replica] = cluster.pair(2)
        const { pid, startTime } = await cluster.running(replica)
        await cluster.world.freeze(replica)
        const wrong: Action = { kind: 'fence', node: replica.id, pid, startTime: startTime + 1 }
        await cluster.act(wrong).catch(() => undefined)
        await cluster.pass(500)
        expect(await cluster.running(replica)).toMatchObject({ pid, startTime })
        await cluster.act({ kind: 'fence', node: replica.id, pid, startTime })
        await cluster.eventually(() => cluster.isDead(replica), settleWithinMs)
        const { process, fencedAt } = await cluster.agent(replica)
        expect(process).toMatchObject({ state: 'dead', pid })
        expect(fencedAt).not.toBeNull()
      })

      test('stopped with a save, it comes back with its data', async () => {
        const [primary, replica] = cluster.pair(1)
        await cluster.write(1, 40)
        await cluster.inSync(1)
        for (const node of [replica, primary]) {
          await cluster.act({ kind: 'stop', node: node.id, save: true })
          await cluster.eventually(async () => {
            expect((await cluster.agent(node)).process.state).not.toBe('running')
            expect((await cluster.engine(node)).kind).toBe('refused')
          }, settleWithinMs)
          await cluster.act({ kind: 'stop', node: node.id, save: true })
        }
        await cluster.start(primary)
        await cluster.start(replica)
        await cluster.eventually(async () => {
          expect(await cluster.facts(primary)).toMatchObject({ role: 'primary', keys: 40, clusterOk: true })
          expect(await cluster.facts(replica)).toMatchObject({ role: 'replica', keys: 40, link: { state: 'up' } })
        }, settleWithinMs)
      })

      test('killed all together, they come back with their data and their roles', async () => {
        for (const shard of [1, 2, 3]) await cluster.write(shard, 10)
        for (const shard of [1, 2, 3]) await cluster.inSync(shard)
        await Promise.all(cluster.nodes.map((node) => cluster.world.kill(node)))
        for (const node of cluster.nodes) await cluster.eventually(() => cluster.isDead(node), settleWithinMs)
        for (const node of cluster.nodes) await cluster.start(node)
        await cluster.eventually(() => cluster.isWhole(), settleWithinMs)
        for (const node of cluster.nodes) expect((await cluster.facts(node)).keys).toBe(10)
      })

      test('a wiped node comes back as somebody else, and its record survives', async () => {
        const [primary, replica] = cluster.pair(3)
        const before = await cluster.facts(replica)
        await cluster.world.kill(replica)
        await cluster.eventually(() => cluster.isDead(replica), settleWithinMs)
        await cluster.world.wipe(replica)
        expect(await cluster.agent(replica)).toMatchObject({
          files: { aof: false, rdb: false, claim: null },
          record: { engineId: before.engineId, role: 'replica' },
        })
        await cluster.start(replica)
        const after = await cluster.facts(replica)
        expect(after).toMatchObject({ role: 'primary', keys: 0 })
        expect(after.engineId).not.toBe(before.engineId)
        // The others go on knowing the one that is gone, until they are told to forget it.
        expect((await cluster.facts(primary)).view.entries.map(({ engineId }) => engineId)).toContain(before.engineId)
        const others = cluster.nodes.filter((node) => node !== replica)
        for (const node of others) await cluster.act({ kind: 'forget', node: node.id, engineIds: [before.engineId] })
        await cluster.act({ kind: 'meet', node: replica.id, peers: others.map(endpoint) })
        await cluster.eventually(async () => {
          const known = (await cluster.facts(replica)).view.entries.filter(({ handshake }) => !handshake)
          expect(known.length).toBe(6)
        }, settleWithinMs)
        await cluster.act({ kind: 'follow', node: replica.id, primary: await cluster.idOf(primary) })
        await cluster.eventually(() => cluster.isWhole(), settleWithinMs)
      })

      test('the engine refuses what would break it', async () => {
        const [primary, replica] = cluster.pair(1)
        const [other, otherReplica] = cluster.pair(2)
        await cluster.write(1, 1)
        const giveTaken: Action = { kind: 'give-slots', node: other.id, slots: [[0, 0]], epoch: null }
        await cluster.refused(giveTaken, 'ENGINE_REFUSED')
        const stranger = 'f'.repeat(40)
        await cluster.refused({ kind: 'follow', node: replica.id, primary: stranger }, 'ENGINE_REFUSED')
        const ofReplica = await cluster.idOf(otherReplica)
        await cluster.refused({ kind: 'follow', node: replica.id, primary: ofReplica }, 'ENGINE_REFUSED')
        const ofOther = await cluster.idOf(other)
        await cluster.refused({ kind: 'follow', node: primary.id, primary: ofOther }, 'ENGINE_REFUSED')
        await cluster.refused({ kind: 'failover', node: primary.id, mode: 'force' }, 'ENGINE_REFUSED')
        await cluster.refused({ kind: 'failover', node: primary.id, mode: 'switchover' }, 'ENGINE_REFUSED')
        const itself = [await cluster.idOf(replica)]
        await cluster.refused({ kind: 'forget', node: replica.id, engineIds: itself }, 'ENGINE_REFUSED')
        const ownPrimary = [await cluster.idOf(primary)]
        await cluster.refused({ kind: 'forget', node: replica.id, engineIds: ownPrimary }, 'ENGINE_REFUSED')
        await cluster.refused({ kind: 'close-slot', node: replica.id, slot: 0 }, 'ENGINE_REFUSED')
        expect(await cluster.isWhole()).toBeUndefined()
      })

      test('a switchover from a dead primary is refused', async () => {
        const [primary, replica] = cluster.pair(1)
        await cluster.world.kill(primary)
        await cluster.eventually(() => cluster.isDead(primary), settleWithinMs)
        await cluster.eventually(async () => {
          await cluster.refused({ kind: 'failover', node: replica.id, mode: 'switchover' }, 'ENGINE_REFUSED')
        }, settleWithinMs)
      })

      test('a forgotten node stays forgotten until it is introduced again', async () => {
        const [, replica] = cluster.pair(2)
        const [witness] = cluster.pair(1)
        const id = await cluster.idOf(replica)
        const knowers = async () => {
          const all = await Promise.all(cluster.nodes.map((node) => cluster.facts(node)))
          return all.filter(({ view }) => view.entries.some(({ engineId }) => engineId === id)).length
        }
        const knows = async () => (await cluster.facts(witness)).view.entries.some(({ engineId }) => engineId === id)
        await cluster.act({ kind: 'forget', node: witness.id, engineIds: [id] })
        await cluster.act({ kind: 'forget', node: witness.id, engineIds: [id] })
        expect(await knows()).toBe(false)
        await cluster.pass(1000)
        expect(await knows()).toBe(false)
        if (cluster.world.forgetsTogether) {
          // They tell each other whom they forgot, and for a minute an introduction changes nothing. Then it is back.
          await cluster.eventually(async () => expect(await knowers()).toBe(1), settleWithinMs)
          return
        }
        await cluster.act({ kind: 'meet', node: witness.id, peers: [endpoint(replica)] })
        await cluster.eventually(() => cluster.isWhole(), settleWithinMs)
      })

      test('a slot can be moved from one primary to another in one action', async () => {
        const [from] = cluster.pair(1)
        const [to] = cluster.pair(2)
        const targetId = await cluster.idOf(to)
        await cluster.act({ kind: 'finish-move', node: from.id, slot: 5, target: endpoint(to), targetId })
        await cluster.eventually(async () => {
          for (const node of cluster.nodes) {
            const { view } = await cluster.facts(node)
            const owner = view.entries.find(({ slots }) => slots.some(([a, b]) => a <= 5 && 5 <= b))
            expect(owner?.engineId).toBe(targetId)
            expect(view.open).toEqual([])
          }
        }, settleWithinMs)
      })

      test('an action that comes too late is refused, and nothing is touched', async () => {
        const [, replica] = cluster.pair(1)
        const takeover: Action = { kind: 'failover', node: replica.id, mode: 'takeover' }
        await cluster.refused(takeover, 'REFUSED_EXPIRED', { epoch: 50, withinMs: -1 })
        await cluster.pass(500)
        expect((await cluster.facts(replica)).role).toBe('replica')
        expect((await cluster.agent(replica)).failoverAsked).toBeNull()
        // What was refused did not raise the epoch either.
        await cluster.act(takeover, { epoch: 2 })
      })

      test('an action of an old epoch is refused, and nothing is touched', async () => {
        const [, replica] = cluster.pair(1)
        await cluster.act({ kind: 'close-slot', node: cluster.pair(1)[0].id, slot: 1 }, { epoch: 9 })
        const before = await cluster.agent(replica)
        const takeover: Action = { kind: 'failover', node: replica.id, mode: 'takeover' }
        await cluster.refused(takeover, 'REFUSED_STALE_EPOCH', { epoch: 8 })
        await cluster.pass(500)
        expect((await cluster.facts(replica)).role).toBe('replica')
        expect((await cluster.agent(replica)).failoverAsked).toEqual(before.failoverAsked)
        await cluster.act(takeover, { epoch: 9 })
        await cluster.eventually(() => cluster.hasRole(replica, 'primary'), settleWithinMs)
      })
    })
  })
}

type Running = Extract<ProcessSeen, { state: 'running' }>

interface EnvelopeOptions {
  readonly epoch?: number
  readonly withinMs?: number
}

const endpoint = ({ address, port }: NodePlace) => ({ address, port })

const me = (facts: EngineFacts): ViewEntry => {
  const mine = facts.view.entries.find(({ engineId }) => engineId === facts.engineId)
  if (mine === undefined) throw new Error('a view without its own node')
  return mine
}

/** What of a view all nodes must agree on. */
const told = (view: readonly ViewEntry[]) =>
  view
    .map(({ engineId, port, role, follows, health, handshake, slots }) => ({
      engineId,
      port,
      role,
      follows,
      health,
      handshake,
      slots,
    }))
    .sort((a, b) => a.port - b.port)

function silentSince(seen: EngineSeen): number {
  if (seen.kind !== 'silent') throw new Error(`not silent but ${seen.kind}`)
  return seen.since
}

/** A world with the words that the tests above use. */
class Subject {
  readonly world: ContractWorld
  readonly nodes: readonly [NodePlace, NodePlace, NodePlace, NodePlace, NodePlace, NodePlace]
  readonly exits: unknown[] = []
  #epoch = 1

  constructor(world: ContractWorld) {
    this.world = world
    const [a, b, c, d, e, f] = world.nodes
    if (!a || !b || !c || !d || !e || !f) throw new Error('the contract wants six nodes')
    this.nodes = [a, b, c, d, e, f]
    world.host.onExit((exit) => this.exits.push(exit))
  }

  /** The first and the second copy of a shard, by its number. */
  pair(shard: number): [NodePlace, NodePlace] {
    const [primary, replica] = [this.nodes[shard - 1], this.nodes[shard + 2]]
    if (primary === undefined || replica === undefined) throw new Error(`there is no shard ${shard}`)
    return [primary, replica]
  }

  async engine(node: NodePlace): Promise<EngineSeen> {
    const seen = await this.world.engine.look(this.nodes, new AbortController().signal)
    return seen.get(node.id) ?? { kind: 'unknown' }
  }

  /** What the engine says. On a loaded machine a healthy one may miss a look, so it is asked again. */
  async facts(node: NodePlace): Promise<EngineFacts> {
    const answers: EngineFacts[] = []
    await this.eventually(async () => {
      const seen = await this.engine(node)
      if (seen.kind !== 'answered') throw new Error(`${node.id} does not answer: ${seen.kind}`)
      answers.push(seen.facts)
    }, answerWithinMs)
    const [facts] = answers
    if (facts === undefined) throw new Error(`${node.id} does not answer`)
    return facts
  }

  async idOf(node: NodePlace): Promise<string> {
    return (await this.facts(node)).engineId
  }

  async agent(node: NodePlace): Promise<AgentNodeSeen> {
    const seen = (await this.world.host.look(this.world.deployment, this.nodes)).get(node.id)
    if (seen === undefined) throw new Error(`the agent says nothing of ${node.id}`)
    return seen
  }

  async running(node: NodePlace): Promise<Running> {
    const { process } = await this.agent(node)
    if (process.state !== 'running') throw new Error(`${node.id} is ${process.state}`)
    return process
  }

  async act(action: Action, { epoch, withinMs = 10_000 }: EnvelopeOptions = {}): Promise<void> {
    // An agent answers for the nodes that it was asked about.
    await this.agent(this.nodes[0])
    const controllerEpoch = epoch ?? this.#epoch
    const { deployment, host } = this.world
    const envelope: Envelope = { deployment, controllerEpoch, notAfter: host.now() + withinMs, action }
    await host.act(envelope)
    this.#epoch = controllerEpoch
  }

  async refused(action: Action, code: ErrorCode, options: EnvelopeOptions = {}): Promise<void> {
    const error = await this.act(action, options).then(
      () => undefined,
      (thrown: unknown) => thrown,
    )
    if (!(error instanceof HoldfastError)) throw new Error(`${action.kind} on ${action.node} was not refused`)
    expect(error.code, error.message).toBe(code)
  }

  eventually(check: () => Promise<void>, withinMs: number): Promise<void> {
    return this.world.eventually(check, { withinMs })
  }

  /** Lets time pass with nothing to wait for. */
  async pass(ms: number): Promise<void> {
    const end = this.world.host.now() + ms
    await this.eventually(async () => expect(this.world.host.now()).toBeGreaterThanOrEqual(end), ms + 5000)
  }

  async start(node: NodePlace): Promise<void> {
    await this.act({ kind: 'start', node: node.id, files: this.world.filesFor(node) })
    await this.eventually(async () => expect((await this.engine(node)).kind).toBe('answered'), startWithinMs)
  }

  async create(): Promise<void> {
    for (const node of this.nodes) {
      await this.act({ kind: 'start', node: node.id, files: this.world.filesFor(node) })
    }
    for (const node of this.nodes) {
      await this.eventually(async () => expect((await this.engine(node)).kind).toBe('answered'), startWithinMs)
    }
    for (const [index, range] of ranges.entries()) {
      const [primary] = this.pair(index + 1)
      await this.act({ kind: 'give-slots', node: primary.id, slots: [range], epoch: index + 1 })
    }
    for (const node of this.nodes) {
      const peers = this.nodes.filter((peer) => peer !== node).map(endpoint)
      await this.act({ kind: 'meet', node: node.id, peers })
    }
    await this.eventually(async () => {
      for (const node of this.nodes) {
        const { entries } = (await this.facts(node)).view
        expect(entries.filter(({ handshake }) => !handshake).length).toBe(6)
      }
    }, settleWithinMs)
    for (const shard of [1, 2, 3]) {
      const [primary, replica] = this.pair(shard)
      await this.act({ kind: 'follow', node: replica.id, primary: await this.idOf(primary) })
    }
    await this.eventually(() => this.isWhole(), settleWithinMs)
  }

  /** Every node answers, accepts, is linked, and sees what all others see. */
  async isWhole(): Promise<void> {
    const all = await Promise.all(this.nodes.map((node) => this.facts(node)))
    for (const facts of all) {
      expect(facts.clusterOk).toBe(true)
      expect(told(facts.view.entries)).toEqual(told(all[0]?.view.entries ?? []))
      expect(facts.view.entries.every(({ health, linked }) => health === 'ok' && linked)).toBe(true)
      if (facts.role === 'replica') expect(facts.link?.state).toBe('up')
    }
    expect(all.filter(({ role }) => role === 'replica').length).toBe(3)
  }

  async write(shard: number, times: number): Promise<void> {
    for (let i = 0; i < times; i++) {
      await this.eventually(async () => expect(await this.world.write(`shard-${shard}`)).toBe(true), settleWithinMs)
    }
  }

  /** The replica has what its primary has, and the agent has seen its link up. */
  async inSync(shard: number): Promise<void> {
    const [primary, replica] = this.pair(shard)
    await this.eventually(async () => {
      expect((await this.facts(replica)).offset).toBe((await this.facts(primary)).offset)
      expect((await this.agent(replica)).record?.link).toBe('up')
    }, settleWithinMs)
  }

  async isDead(node: NodePlace): Promise<void> {
    expect((await this.agent(node)).process.state).toBe('dead')
    expect((await this.engine(node)).kind).toBe('refused')
  }

  async hasRole(node: NodePlace, role: EngineFacts['role']): Promise<void> {
    expect((await this.facts(node)).role).toBe(role)
  }

  async failOver(primary: NodePlace, replica: NodePlace): Promise<void> {
    await this.world.kill(primary)
    await this.eventually(() => this.isDead(primary), settleWithinMs)
    await this.act({ kind: 'failover', node: replica.id, mode: 'force' })
    await this.eventually(() => this.hasRole(replica, 'primary'), settleWithinMs)
  }
}
