/**
 * A change of persistence, step by step, on a real engine that is killed after each: what was acknowledged before the
 * change is there after it. The turns are made by hand, so that a kill comes between exactly two of them.
 */
import { createHash } from 'node:crypto'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Action, Document, Plan, PlanInput, Spec } from '@holdfast/core'
import {
  engineUsers,
  layOut,
  newSecrets,
  ownedBy,
  ownedDirectives,
  parseSpec,
  planTurn,
  readPicture,
  renderConfig,
  renderUsers,
  runsAsRendered,
} from '@holdfast/core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { EngineBinary } from '../../packages/control/src/binary/find.ts'
import { systemClock } from '../../packages/control/src/clock.ts'
import { EngineLink } from '../../packages/control/src/engine/link.ts'
import { ValkeyEngines } from '../../packages/control/src/engine/valkey.ts'
import { changeEngine } from '../../packages/control/src/host/change-engine.ts'
import { LocalHost } from '../../packages/control/src/host/local.ts'
import { observe } from '../../packages/control/src/observe.ts'
import { processesIn } from '../../packages/control/src/proc.ts'
import { findTestEngine, freePorts } from '../support/engines.ts'
import { eventually } from '../support/eventually.ts'

type Mode = 'none' | 'rdb' | 'aof' | 'hybrid'

const node = 'node-1'
const admin = { username: engineUsers.admin, password: 'secret' }
const secrets = newSecrets(() => 'secret')
const keys = 200

/** One engine, its agent, and a loop that makes a turn when it is told to. */
class Stepped {
  readonly #directory = mkdtempSync(join(tmpdir(), 'holdfast-persistence-'))
  readonly #basePort: number
  readonly #host: LocalHost
  readonly #engines = new ValkeyEngines(systemClock, {
    username: engineUsers.probe,
    password: () => 'secret',
    clustered: false,
  })
  readonly #binary: EngineBinary
  #link: EngineLink
  #spec: Spec

  constructor(binary: EngineBinary, basePort: number) {
    this.#binary = binary
    this.#basePort = basePort
    this.#spec = this.#specOf('none')
    this.#host = new LocalHost({
      id: 'local',
      clock: systemClock,
      binary: () => Promise.resolve(binary),
      proxyProgram: () => Promise.reject(new Error('there is none here')),
      memoryDir: join(this.#directory, 'agent'),
      nodeDir: () => this.nodeDir,
      admin: () => admin,
      ownedDirectives: () => Object.keys(ownedDirectives(this.#spec, { engine: binary })),
    })
    this.#link = this.#dial()
  }

  get nodeDir(): string {
    return join(this.#directory, node)
  }

  get data(): string {
    return join(this.nodeDir, 'data')
  }

  get host(): LocalHost {
    return this.#host
  }

  want(mode: Mode): void {
    this.#spec = this.#specOf(mode)
  }

  async input(): Promise<PlanInput> {
    const nodes = layOut(this.#spec)
    const hosts = new Map([['local', this.#host]])
    const eyes = { clock: systemClock, engines: this.#engines, hosts }
    const observed = await observe('it', nodes, eyes, new AbortController().signal)
    if (observed === undefined) throw new Error('nobody breaks this look off')
    const terms = { spec: this.#spec, secrets, engine: this.#binary }
    const files = nodes.map(
      (place) =>
        [
          place.id,
          {
            config: renderConfig({ ...terms, node: place, dir: this.nodeDir }),
            users: renderUsers({ ...terms, sha256 }),
          },
        ] as const,
    )
    const document: Document = {
      apiVersion: 1,
      name: 'it',
      revision: 1,
      specRevision: 1,
      settledRevision: 1,
      spec: {},
      wanted: 'up',
      nodes,
      operations: [],
      scale: { shards: 1, setBy: 'spec' },
      secrets,
      acceptDataLoss: false,
      purge: false,
    }
    const owned = ownedDirectives(this.#spec, { engine: this.#binary })
    return {
      spec: this.#spec,
      document,
      picture: readPicture(nodes, observed, this.#spec),
      files: new Map(files),
      owned,
      wallNow: Math.round(systemClock.wall()),
      boot: systemClock.boot,
    }
  }

  async turn(): Promise<{ plan: Plan; input: PlanInput }> {
    const input = await this.input()
    return { plan: planTurn(input), input }
  }

  act(action: Action): Promise<void> {
    return this.#host.act({ deployment: 'it', controllerEpoch: 1, notAfter: this.#host.now() + 10_000, action })
  }

  /** Turns until all is as rendered, or until so many changes of persistence were made. Answers what was done. */
  async run({ steps = Number.POSITIVE_INFINITY } = {}): Promise<string[]> {
    const done: string[] = []
    await eventually(
      async () => {
        const { plan, input } = await this.turn()
        if (plan.actions.length === 0) {
          const [seen] = input.picture.nodes
          if (seen?.facts != null && seen.agent?.config != null && runsAsRendered(input)) return
          throw new Error(plan.because)
        }
        for (const action of plan.actions) {
          if (done.length >= steps) return
          await this.act(action)
          if (action.kind !== 'start') done.push(action.kind)
        }
        if (done.length >= steps) return
        throw new Error(`${plan.because}, done: ${done.join(', ')}`)
      },
      { withinMs: 30_000, what: `as specified (${this.#spec.persistence})` },
    )
    return done
  }

  kill(): void {
    for (const { pid } of processesIn(this.data)) process.kill(pid, 'SIGKILL')
  }

  command = (...args: string[]): Promise<unknown> => this.#link.command(args, 5000)

  /** Keys that are in the files. While the disk is busy, an engine keeps what it logs in memory for up to two seconds. */
  async fill(): Promise<void> {
    await this.#link.pipeline(
      Array.from({ length: keys }, (_, index) => ['SET', `key-${index}`, 'x'.repeat(100)]),
      5000,
    )
    if (this.#spec.persistence === 'rdb') await this.command('SAVE')
    await eventually(async () => {
      const info = String(await this.command('INFO', 'persistence'))
      return info.includes('aof_enabled:0') || info.includes('aof_buffer_length:0')
    })
  }

  async count(): Promise<number> {
    return Number(await eventually(() => this.command('DBSIZE'), { withinMs: 10_000, what: 'it answers' }))
  }

  /** A new directory, as a new node has it. */
  async fresh(mode: Mode): Promise<void> {
    this.kill()
    await eventually(() => processesIn(this.data).length === 0)
    await this.input()
    await this.act({ kind: 'purge', node })
    this.want(mode)
    await this.run()
    await this.fill()
  }

  close(): void {
    this.kill()
    this.#host.close()
    this.#engines.close()
    this.#link.close()
    rmSync(this.#directory, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 })
  }

  #dial(): EngineLink {
    return new EngineLink({ address: '127.0.0.1', port: this.#basePort, ...admin, name: 'somebody' })
  }

  #specOf(persistence: Mode): Spec {
    const memory = { maxPerNode: '64mb' }
    return parseSpec({
      name: 'it',
      topology: 'standalone',
      shards: 1,
      replicasPerShard: 0,
      persistence,
      memory,
      expose: { basePort: this.#basePort },
    })
  }
}

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex')

let it: Stepped
beforeAll(async () => {
  it = new Stepped(await findTestEngine(), await freePorts(1))
})
afterAll(() => it?.close())

const paths: readonly (readonly [from: Mode, to: Mode, steps: readonly string[]])[] = [
  ['rdb', 'hybrid', ['begin-log', 'configure']],
  ['hybrid', 'rdb', ['save', 'end-log', 'configure']],
  ['hybrid', 'none', ['end-log', 'configure']],
  ['rdb', 'none', ['configure', 'drop-files']],
  ['none', 'rdb', ['configure']],
  ['none', 'aof', ['begin-log', 'configure']],
  ['aof', 'hybrid', ['configure']],
]

describe.each(paths)('from %s to %s', (from, to, steps) => {
  test('is done in these steps, without a restart and without losing a key', async () => {
    await it.fresh(from)
    const [{ pid } = { pid: 0 }] = processesIn(it.data)
    it.want(to)
    expect(await it.run()).toEqual(steps)
    expect(processesIn(it.data)[0]?.pid).toBe(pid)
    expect(await it.count()).toBe(keys)
    const { agent } = (await it.input()).picture.nodes[0] ?? {}
    expect(agent?.files).toMatchObject({
      aof: to === 'aof' || to === 'hybrid',
      ...(to === 'none' ? { rdb: false } : {}),
    })
    expect(existsSync(join(it.data, 'appendonlydir.ended'))).toBe(false)
  })
})

describe.each(paths.filter(([from, to]) => from !== 'none' && to !== 'none'))(
  'killed on the way from %s to %s',
  (from, to, steps) => {
    test.each(steps.map((_, index) => index))('after %i steps, it comes back with every key', async (count) => {
      await it.fresh(from)
      // A snapshot is as old as its last save point: what this mode promises is only what was saved.
      if (from === 'rdb') await it.command('SAVE')
      it.want(to)
      if (count > 0) await it.run({ steps: count })
      it.kill()
      await it.run()
      expect(await it.count()).toBe(keys)
      expect(await it.command('CONFIG', 'GET', 'appendonly')).toEqual(['appendonly', to === 'rdb' ? 'no' : 'yes'])
    })
  },
)

describe('an agent that dies in the middle of ending a log', () => {
  test.each([1, 2])('after command %i, and the engine with it, loses no key', async (allowed) => {
    await it.fresh('hybrid')
    it.want('rdb')
    await it.run({ steps: 1 })
    const { plan } = await eventually(async () => {
      const turn = await it.turn()
      if (turn.plan.actions[0]?.kind !== 'end-log') throw new Error(turn.plan.because)
      return turn
    })
    let commands = 0
    const command = (args: readonly string[]): Promise<unknown> => {
      if (++commands > allowed) throw new Error('killed')
      return it.command(...args)
    }
    const [action] = plan.actions
    if (action?.kind !== 'end-log') throw new Error('no log is ended')
    const around = { nodeDir: it.nodeDir, admin, taken: () => {}, gate: () => {} }
    // After the second command only its own work on the files is left: there it dies of a directory that is not its own.
    await changeEngine(action, command, allowed === 1 ? around : { ...around, nodeDir: '/proc/1/none' }).catch(() => {})
    it.kill()
    await it.run()
    expect(await it.count()).toBe(keys)
    const { agent } = (await it.input()).picture.nodes[0] ?? {}
    expect(agent?.files.aof).toBe(false)
  })

  test('and leaves a log that is older than the snapshot: the snapshot is loaded', async () => {
    await it.fresh('hybrid')
    await it.run()
    // A log that was ended, and not deleted; then more keys, and a snapshot of them.
    await it.command('CONFIG', 'SET', 'appendonly', 'no')
    await it.command('SET', 'after', 'the log')
    await new Promise((resolve) => setTimeout(resolve, 1100))
    await it.command('SAVE')
    await eventually(async () => {
      const { agent } = (await it.input()).picture.nodes[0] ?? {}
      if (agent?.record?.logs !== false || !agent.files.rdbNewer) throw new Error(JSON.stringify(agent?.files))
    })
    it.kill()
    it.want('rdb')
    await it.run()
    expect(await it.command('GET', 'after')).toBe('the log')
  })
})

describe('what is rendered', () => {
  test.each<Mode>(['none', 'rdb', 'aof', 'hybrid'])('of persistence %s is what the engine answers', async (mode) => {
    await it.fresh(mode)
    const { owned } = await it.input()
    const names = Object.keys(ownedBy(node, owned)).filter((name) => /save|append|aof/.test(name))
    expect(names).toHaveLength(8)
    for (const name of names) expect(await it.command('CONFIG', 'GET', name)).toEqual([name, owned[name]])
  })
})

test('files that the engine uses are not deleted, whoever asks', async () => {
  await it.fresh('hybrid')
  const drop = (what: 'aof' | 'rdb') => it.act({ kind: 'drop-files', node, what })
  await expect(drop('aof')).rejects.toMatchObject({ code: 'REFUSED_UNSAFE' })
  await expect(drop('rdb')).rejects.toMatchObject({ code: 'REFUSED_UNSAFE' })
  writeFileSync(join(it.data, 'note'), 'mine')
  expect(await it.count()).toBe(keys)
})
