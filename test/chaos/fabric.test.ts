import type { ChildProcess } from 'node:child_process'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync, statfsSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { readProcess } from '../../packages/control/src/proc.ts'
import { eventually } from '../support/eventually.ts'
import type { Host } from '../support/fabric/fabric.ts'
import { Fabric } from '../support/fabric/fabric.ts'
import {
  cutFromPeers,
  cutOff,
  fillDisk,
  flapping,
  freeze,
  killAllOn,
  limitMemory,
  slowLink,
} from '../support/fabric/injuries.ts'

/** Says what it is sent, a line a datagram. */
const listen = `const socket = require('node:dgram').createSocket('udp4')
socket.on('message', (text) => console.log(String(text).trim()))
socket.bind(9, () => console.log('listens'))`

/** Takes more and more memory, slowly. */
const grow = `const taken = []; console.log('grows'); setInterval(() => taken.push(Buffer.alloc(1024 ** 2, 1)), 10)`

/* Whether what the table of faults calls a cut cuts, and whether it heals when nobody is left to heal it. */
describe('a fabric of hosts', () => {
  let fabric: Fabric
  const heard = new Map<string, string[]>()
  let sent = 0

  beforeAll(async () => {
    fabric = await Fabric.up()
    await Promise.all(fabric.hosts.map((host) => startListening(host)))
  })

  afterAll(async () => {
    await fabric?.close()
  })

  async function startListening(host: Host): Promise<ChildProcess> {
    const lines: string[] = []
    heard.set(host.name, lines)
    const child = fabric.spawn(host, [process.execPath, '-e', listen], { stdio: ['ignore', 'pipe', 'inherit'] })
    createInterface({ input: child.stdout as NodeJS.ReadableStream }).on('line', (line) => lines.push(line))
    await eventually(() => lines.includes('listens'))
    return child
  }

  /** One packet, in one direction. */
  async function arrives(from: Host | 'clients', to: Host): Promise<boolean> {
    const text = `packet ${++sent}`
    // Where there is no cable, not even sending works.
    fabric.run(from, ['bash', '-c', `echo ${text} > /dev/udp/${to.address}/9 || true`])
    const deadline = performance.now() + 300
    while (performance.now() < deadline) {
      if (heard.get(to.name)?.includes(text)) return true
      await delay(10)
    }
    return false
  }

  async function seen(): Promise<readonly string[]> {
    const [a, b] = [fabric.host('a'), fabric.host('b')]
    const ways = [
      ['a to b', a, b],
      ['b to a', b, a],
      ['clients to a', 'clients', a],
      ['clients to b', 'clients', b],
    ] as const
    const found: string[] = []
    for (const [name, from, to] of ways) if (await arrives(from, to)) found.push(name)
    return found
  }

  const everything = ['a to b', 'b to a', 'clients to a', 'clients to b']
  const whole = (): Promise<unknown> =>
    eventually(async () => (await seen()).length === everything.length, { what: 'every way open again' })

  test('hosts and clients reach each other, and nothing of it is in the network of this machine', async () => {
    await whole()
    expect(readFileSync('/proc/net/dev', 'utf8')).not.toMatch(/to-a|br0/)
  })

  test('a pulled cable takes a host from everybody, until it heals', async () => {
    const injured = await fabric.injure(cutOff(fabric, fabric.host('a')), 30_000)
    expect(await seen()).toEqual(['clients to b'])
    await injured.heal()
    await whole()
  })

  test.each([
    ['both', []],
    ['in', ['a to b']],
    ['out', ['b to a']],
  ] as const)('a host that is cut from its peers (%s) is reached by clients', async (way, open) => {
    const injured = await fabric.injure(cutFromPeers(fabric, fabric.host('a'), way), 30_000)
    expect(await seen()).toEqual([...open, 'clients to a', 'clients to b'])
    await injured.heal()
    await whole()
  })

  test('a link that flaps is down and up by turns, and up in the end by itself', async () => {
    const injured = await fabric.injure(flapping(fabric, fabric.host('a'), 400), 2500)
    const states = new Set<boolean>()
    await eventually(async () => states.add(await arrives('clients', fabric.host('a'))).size === 2)
    await injured.healed
    await whole()
  })

  test('what is sent over a slow link comes, late', async () => {
    const host = fabric.host('a')
    const injured = await fabric.injure(slowLink(fabric, host, 64), 30_000)
    const began = performance.now()
    // 8 kB a second: the first four go at once, the others wait.
    const some = "for i in 1 2 3 4 5; do head -c 1200 /dev/zero | tr '\\0' x > /dev/udp/10.77.0.11/9; done"
    fabric.run('clients', ['bash', '-c', some])
    const long = (): number => (heard.get('a') ?? []).filter((line) => line.startsWith('xxx')).length
    await eventually(() => long() >= 4)
    expect(performance.now() - began).toBeGreaterThan(100)
    await injured.heal()
    await whole()
  })

  test('a process is frozen until the timer', async () => {
    const child = fabric.spawn(fabric.host('b'), ['sleep', '600'], { stdio: 'ignore' })
    const stateOf = (): string | undefined => readProcess(child.pid ?? 0)?.state
    await eventually(() => readFileSync(`/proc/${child.pid}/cmdline`, 'utf8').startsWith('sleep'))
    const injured = await fabric.injure(freeze('sleep', [child.pid ?? 0]), 300)
    expect(stateOf()).toBe('T')
    await injured.healed
    await eventually(() => stateOf() === 'S')
  })

  test('a disk is full, and has its room again', async () => {
    const host = fabric.host('b')
    const free = (): number => statfsSync(host.folder).bavail
    const before = free()
    const injured = await fabric.injure(fillDisk(host), 30_000)
    expect(free()).toBe(0)
    await injured.heal()
    expect(free()).toBe(before)
  })

  test('a process at its limit of memory is killed by the kernel, and the host lives on', async () => {
    const host = fabric.host('b')
    const child = fabric.spawn(host, [process.execPath, '-e', grow], { stdio: ['ignore', 'pipe', 'inherit'] })
    await once(child.stdout as NodeJS.ReadableStream, 'data')
    const injured = await fabric.injure(limitMemory('a process', host, child.pid ?? 0), 30_000)
    await eventually(() => child.signalCode === 'SIGKILL')
    await injured.heal()
    expect(existsSync(`${host.group}/limited`)).toBe(false)
    expect(await arrives('clients', host)).toBe(true)
  })

  test('all that runs on a host can be killed at once, and nothing else is', async () => {
    const [c, d] = [fabric.host('c'), fabric.host('d')]
    await fabric.injure(killAllOn(c), 0)
    await eventually(() => fabric.pidsOn(c).length === 0)
    expect(fabric.pidsOn(d)).toHaveLength(1)
    await startListening(c)
  })

  test('of a fabric whose owner is killed nothing is left', async () => {
    const [run, owner] = ['../support/run-typescript.mjs', '../support/fabric/owner-process.ts'].map((file) =>
      fileURLToPath(new URL(file, import.meta.url)),
    ) as [string, string]
    const child = spawn(process.execPath, [run, owner], { stdio: ['ignore', 'pipe', 'inherit'] })
    const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string]
    const { keeper, namespace, folder } = JSON.parse(line) as { keeper: number; namespace: string; folder: string }
    expect([existsSync(`/run/netns/${namespace}`), existsSync(folder)]).toEqual([true, true])
    child.kill('SIGKILL')
    await eventually(() => ['Z', undefined].includes(readProcess(keeper)?.state), { withinMs: 20_000 })
    expect([existsSync(`/run/netns/${namespace}`), existsSync(folder)]).toEqual([false, false])
    expect(readFileSync('/proc/self/mounts', 'utf8')).not.toContain(folder)
  })
})
