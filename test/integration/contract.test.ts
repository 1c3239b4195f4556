import { createHash } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { NodePlace } from '@holdfast/core'
import {
  engineHas,
  engineUsers,
  evenSlots,
  layOut,
  newSecrets,
  ownedDirectives,
  parseSpec,
  renderConfig,
  renderUsers,
} from '@holdfast/core'
import { systemClock } from '../../packages/control/src/clock.ts'
import { EngineLink } from '../../packages/control/src/engine/link.ts'
import { ValkeyEngines } from '../../packages/control/src/engine/valkey.ts'
import { LocalHost } from '../../packages/control/src/host/local.ts'
import { processesIn } from '../../packages/control/src/proc.ts'
import { describeClusterContract } from '../../packages/control/test/contract/cluster.contract.ts'
import type { ContractWorld } from '../../packages/control/test/contract/contract-world.ts'
import { findTestEngine, freePorts } from '../support/engines.ts'
import { eventually } from '../support/eventually.ts'

/* What the memory cluster promises in the simulation, the real engines and the local agent keep. */
describeClusterContract('real engines', makeRealWorld)

async function makeRealWorld(): Promise<ContractWorld> {
  const binary = await findTestEngine()
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-contract-'))
  const spec = parseSpec({ name: 'contract', memory: { maxPerNode: '64mb' }, expose: { basePort: await freePorts(6) } })
  const nodes = layOut(spec)
  const secrets = newSecrets(() => 'secret')
  const nodeDir = (_: string, node: string): string => join(directory, node)
  const dataDir = (node: NodePlace): string => join(directory, node.id, 'data')
  const admin = { username: engineUsers.admin, password: 'secret' }
  const host = new LocalHost({
    id: 'local',
    clock: systemClock,
    binary: () => Promise.resolve(binary),
    proxyProgram: () => Promise.reject(new Error('there is none here')),
    memoryDir: join(directory, 'agent'),
    nodeDir,
    admin: () => admin,
    ownedDirectives: () => Object.keys(ownedDirectives(spec, { engine: binary })),
  })
  const engine = new ValkeyEngines(systemClock, {
    username: engineUsers.probe,
    password: () => 'secret',
    clustered: true,
  })
  const links = new Map(nodes.map((node) => [node.id, new EngineLink({ ...node, ...admin, name: 'somebody' })]))
  const signal = async (node: NodePlace, name: NodeJS.Signals): Promise<void> => {
    for (const { pid } of processesIn(dataDir(node))) process.kill(pid, name)
  }
  let written = 0
  return {
    engine,
    host,
    deployment: spec.name,
    nodes,
    forgetsTogether: engineHas(binary, { redis: '7.2', valkey: '7.2' }),
    filesFor: (node) => ({
      config: renderConfig({ spec, node, secrets, engine: binary, dir: nodeDir('', node.id) }),
      users: renderUsers({ spec, secrets, engine: binary, sha256 }),
    }),
    kill: (node) => signal(node, 'SIGKILL'),
    freeze: (node) => signal(node, 'SIGSTOP'),
    thaw: (node) => signal(node, 'SIGCONT'),
    wipe: async (node) => rmSync(dataDir(node), { recursive: true }),
    write: async (shard) => {
      const key = keyOf(Number(shard.replace('shard-', '')) - 1, written++)
      const writes = nodes
        .filter((node) => node.shard === shard)
        .map((node) => (links.get(node.id) as EngineLink).command(['SET', key, 'x'], 500))
      // Whoever is primary takes it; the others point there.
      const answers = await Promise.allSettled(writes)
      return answers.some((answer) => answer.status === 'fulfilled' && answer.value === 'OK')
    },
    eventually: async (check, { withinMs }) => {
      await eventually(check, { withinMs })
    },
    close: async () => {
      host.close()
      engine.close()
      for (const link of links.values()) link.close()
      for (const node of nodes) await signal(node, 'SIGKILL')
      rmSync(directory, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 })
    },
  }
}

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex')

/** A key whose slot is in the even share of a shard. */
function keyOf(shardIndex: number, count: number): string {
  const [from, to] = evenSlots(3)[shardIndex] ?? [0, 0]
  for (let tag = count * 1000; ; tag++) {
    const slot = crc16(`${tag}`) % 16_384
    if (slot >= from && slot <= to) return `{${tag}}`
  }
}

/** The engine's hash of a key (CCITT, polynomial 0x1021), bit by bit. */
function crc16(text: string): number {
  let crc = 0
  for (const byte of Buffer.from(text)) {
    crc ^= byte << 8
    for (let bit = 0; bit < 8; bit++) crc = (crc & 0x8000) === 0 ? (crc << 1) & 0xffff : ((crc << 1) ^ 0x1021) & 0xffff
  }
  return crc
}
