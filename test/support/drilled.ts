import { readFileSync } from 'node:fs'
import type { DrillReport, FaultSeen } from '@holdfast/core'
import { engineUsers } from '@holdfast/core'
import { EngineLink } from '../../packages/control/src/engine/link.ts'
import { freePorts } from './engines.ts'
import { eventually } from './eventually.ts'
import type { Program } from './program.ts'

/** A deployment that is labelled for drills, with a controller in the background. */
export async function upForDrills(it: Program, fields: Readonly<Record<string, unknown>> = {}): Promise<void> {
  const basePort = await freePorts(6)
  const spec = it.file('it.yaml', {
    name: 'it',
    drills: 'yes',
    memory: { maxPerNode: '64mb' },
    expose: { basePort },
    ...fields,
  })
  await it.ok(['up', spec, '--detach'])
}

export async function readyAgain(it: Program): Promise<void> {
  await eventually(async () => (await it.status('it')).ready === 'yes', { withinMs: 60_000, what: 'ready' })
}

export const faultsOf = async (it: Program): Promise<readonly FaultSeen[]> =>
  (await it.ask<{ faults: FaultSeen[] }>('/deployments/it/faults')).faults

export const reportIn = (stdout: string): DrillReport => JSON.parse(stdout) as DrillReport

/** The promises that do not depend on how busy this machine is: all but those of time. */
export function brokenTruths({ promises }: DrillReport): string[] {
  const broken = promises.filter(({ kept, what }) => !kept && !/writes again within|no call of/.test(what))
  return broken.map(({ what, found }) => `${what}: ${found}`)
}

/** Keys of drills at a primary, with how long they live, ms; -1 for ever. */
export async function drillKeys(it: Program, shard: string): Promise<{ key: string; ttlMs: number }[]> {
  const { shards, nodes } = await it.status('it')
  const node = nodes.find(({ id }) => id === shards.find(({ id: one }) => one === shard)?.primary)
  const { password } = await it.ask<{ password: string }>('/deployments/it/credentials')
  const target = { address: '127.0.0.1', port: node?.port ?? 0, username: engineUsers.app, password, name: 'test' }
  const link = new EngineLink(target)
  try {
    const keys: string[] = []
    for (let cursor = '0'; ; ) {
      const [next, some] = (await link.command(['SCAN', cursor, 'MATCH', '*holdfast:drill:*', 'COUNT', '1000'])) as [
        string,
        string[],
      ]
      keys.push(...some)
      cursor = next
      if (cursor === '0') break
    }
    const lives = await link.pipeline(
      keys.map((key) => ['PTTL', key]),
      5000,
    )
    return keys.map((key, index) => ({ key, ttlMs: Number(lives[index]) }))
  } finally {
    link.close()
  }
}

/** Processes of a drill's clients that still run. */
export function clientsOf(it: Program): number[] {
  return it.processes().filter((pid) => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('workload-process')
    } catch {
      return false // gone meanwhile
    }
  })
}
