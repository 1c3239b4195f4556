/** Real engines started from the files that Holdfast renders: what a node of a deployment gets, and nothing around it. */
import type { ChildProcess } from 'node:child_process'
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { NodePlace, SlotRange, Spec } from '@holdfast/core'
import { layOut, nodePaths, parseSpec, renderConfig, renderUsers } from '@holdfast/core'
import { createClient } from 'redis'
import type { EngineBinary } from '../../packages/control/src/binary/find.ts'
import { freePorts } from './engines.ts'
import { eventually } from './eventually.ts'

export interface OneEngine {
  readonly spec: Spec
  readonly node: NodePlace
  /** What it has said so far. */
  readonly log: () => string
  /** Runs one command as a user and answers the reply as text; an error reply is answered, not thrown. */
  readonly ask: (user: string, ...command: string[]) => Promise<string>
  readonly stop: () => Promise<void>
}

export interface EngineTerms {
  readonly binary: EngineBinary
  readonly secrets: Readonly<Record<string, string>>
  /** The spec but for its name and port. */
  readonly input?: Record<string, unknown>
  /** Default: all. */
  readonly slots?: readonly SlotRange[]
}

export async function startOneEngine({
  binary,
  secrets,
  input,
  slots = [[0, 16_383]],
}: EngineTerms): Promise<OneEngine> {
  const spec = parseSpec({ name: 'shop', ...input, expose: { basePort: await freePorts(1) } })
  const [node] = layOut(spec)
  if (node === undefined) throw new Error('a layout without nodes')
  const root = mkdtempSync(join(tmpdir(), 'holdfast-engine-'))
  // A path with everything in it that a configuration file could trip over.
  const dir = join(root, 'a "node" #1 \\ ü')
  const paths = nodePaths(dir)
  mkdirSync(paths.data, { recursive: true })
  writeFileSync(paths.config, renderConfig({ spec, node, secrets, engine: binary, dir }))
  writeFileSync(paths.users, renderUsers({ spec, secrets, engine: binary, sha256 }))

  const child = spawn(binary.server, [paths.config], {
    env: { ...process.env, ...binary.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const said: string[] = []
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => said.push(chunk.toString()))
  const log = (): string => said.join('')
  const stop = async (): Promise<void> => {
    await killed(child)
    rmSync(root, { recursive: true, force: true })
  }
  const ask: OneEngine['ask'] = async (user, ...command) => {
    const socket = { host: node.address, port: node.port, reconnectStrategy: false } as const
    const client = createClient({ RESP: 2, socket, username: user, password: secrets[user] ?? 'a guess' })
    client.on('error', () => undefined)
    try {
      await client.connect()
      return textOf(await client.sendCommand(command))
    } catch (error) {
      return error instanceof Error ? error.message : String(error)
    } finally {
      client.destroy()
    }
  }
  try {
    await eventually(() => log().includes('Ready to accept connections') || child.exitCode !== null)
    if (child.exitCode !== null) throw new Error(`the engine did not start:\n${log()}`)
    const single = slots.flatMap(([from, to]) => Array.from({ length: to - from + 1 }, (_, index) => `${from + index}`))
    if (single.length > 0) await must(ask('admin', 'CLUSTER', 'ADDSLOTS', ...single))
    if (single.length === 16_384) await clusterOk({ ask })
  } catch (error) {
    await stop()
    throw error
  }
  return { spec, node, log, ask, stop }
}

/** Two primaries and a replica of the first, started, introduced, and of one mind. */
export async function startThreeEngines(terms: EngineTerms): Promise<[OneEngine, OneEngine, OneEngine]> {
  const first = await startOneEngine({ ...terms, slots: [[0, 8191]] })
  const second = await startOneEngine({ ...terms, slots: [[8192, 16_383]] })
  const replica = await startOneEngine({ ...terms, slots: [] })
  try {
    for (const { node } of [second, replica]) {
      await must(first.ask('admin', 'CLUSTER', 'MEET', node.address, String(node.port)))
    }
    const id = await first.ask('admin', 'CLUSTER', 'MYID')
    // The replica must have heard of its primary before it can be told to follow it.
    await eventually(async () => must(replica.ask('admin', 'CLUSTER', 'REPLICATE', id)), {
      what: 'the replica follows',
    })
    await eventually(
      async () => (await replica.ask('probe', 'INFO', 'replication')).includes('master_link_status:up'),
      {
        what: 'the link of the replica is up',
      },
    )
    await Promise.all([first, second, replica].map(clusterOk))
  } catch (error) {
    await Promise.all([first, second, replica].map((engine) => engine.stop()))
    throw error
  }
  return [first, second, replica]
}

const clusterOk = ({ ask }: Pick<OneEngine, 'ask'>): Promise<boolean> =>
  eventually(async () => (await ask('admin', 'CLUSTER', 'INFO')).includes('cluster_state:ok'), {
    what: 'cluster_state:ok',
  })

async function must(answer: Promise<string>): Promise<void> {
  const text = await answer
  if (text !== 'OK') throw new Error(`refused: ${text}`)
}

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex')

async function killed(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const gone = once(child, 'exit')
  child.kill('SIGKILL')
  await gone
}

const textOf = (reply: unknown): string =>
  typeof reply === 'string' ? reply : Buffer.isBuffer(reply) ? reply.toString() : JSON.stringify(reply)
