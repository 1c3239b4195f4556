import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { findEtcd } from '../../packages/control/src/binary/etcd.ts'
import { engineWorld } from '../../packages/control/src/binary/find.ts'
import { systemClock } from '../../packages/control/src/clock.ts'
import { processesIn } from '../../packages/control/src/proc.ts'
import { EtcdGateway } from '../../packages/control/src/store/etcd/gateway.ts'
import type { EtcdSeat } from '../../packages/control/src/store/etcd/member.ts'
import { clientUrl, EtcdMember } from '../../packages/control/src/store/etcd/member.ts'
import { credentialsOf } from '../../packages/control/test/agent/agent.ts'
import { freePorts, programsHome } from '../support/engines.ts'
import { eventually } from '../support/eventually.ts'

const place = mkdtempSync(join(tmpdir(), 'holdfast-members-'))
const names = ['a', 'b', 'c'] as const
const silent = () => undefined
const log = { debug: silent, info: silent, warn: silent, error: silent }
const kept = new Map<string, EtcdMember>()
let seats: EtcdSeat[] = []
let gateway: EtcdGateway

const directoryOf = (name: string): string => join(place, name)
const pidOf = (name: string): number | undefined => processesIn(directoryOf(name))[0]?.pid

/** As the agent of a host keeps it. */
async function keep(name: string, isBirth: boolean): Promise<void> {
  const credentials = await credentialsOf({ role: 'host', name })
  const member = new EtcdMember({
    directory: directoryOf(name),
    name,
    seats,
    isBirth,
    credentials: () => credentials,
    program: () => findEtcd(engineWorld(programsHome, (line) => console.log(line))),
    clock: systemClock,
    log,
  })
  kept.set(name, member)
  void member.run()
}

const isWhole = async (): Promise<boolean> => {
  await gateway.read('/')
  const members = await gateway.members()
  return members.length === 3 && members.every(({ clientUrls }) => clientUrls.length > 0)
}

beforeAll(async () => {
  const port = await freePorts(6)
  seats = names.map((name, index) => {
    const clientPort = port + 2 * index
    return { name, address: '127.0.0.1', clientPort, peerPort: clientPort + 1 }
  })
  const tls = await credentialsOf({ role: 'controller', name: 'test' })
  gateway = new EtcdGateway({ endpoints: seats.map(clientUrl), tls })
  for (const name of names) await keep(name, true)
  await eventually(isWhole, { withinMs: 30_000, what: 'three members' })
}, 60_000)

afterAll(() => {
  for (const member of kept.values()) member.close()
  for (const name of names) for (const { pid } of processesIn(directoryOf(name))) process.kill(pid, 'SIGKILL')
  rmSync(place, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 })
})

test('whoever shows no certificate of the home is not answered', async () => {
  const { authority } = await credentialsOf({ role: 'controller', name: 'test' })
  const stranger = new EtcdGateway({ endpoints: seats.map(clientUrl), tls: { authority } })
  await expect(stranger.read('/')).rejects.toMatchObject({ code: 'UNREACHABLE_STORE' })
})

test('one that is killed is started again, and what was written stays', async () => {
  await gateway.writeIf([], [{ put: '/holdfast/one', value: '1' }])
  const before = pidOf('a') ?? 0
  process.kill(before, 'SIGKILL')
  await eventually(() => (pidOf('a') ?? before) !== before, { withinMs: 10_000, what: 'a to be started again' })
  expect((await gateway.read('/holdfast/')).entries).toMatchObject([{ key: '/holdfast/one', value: '1' }])
})

test('one whose agent ends runs on, and the next agent finds it', async () => {
  const before = pidOf('b')
  kept.get('b')?.close()
  expect(before).toBeDefined()
  await keep('b', false)
  await systemClock.sleep(1500)
  expect(processesIn(directoryOf('b')).map(({ pid }) => pid)).toContain(before)
})

test('one that has lost its disk comes back as another member, and has all of it', async () => {
  await eventually(isWhole, { withinMs: 10_000 })
  const before = (await gateway.members()).find(({ name }) => name === 'c')
  process.kill(pidOf('c') ?? 0, 'SIGKILL')
  await eventually(() => pidOf('c') === undefined, { withinMs: 5000 }).catch(() => undefined)
  rmSync(join(directoryOf('c'), 'data'), { recursive: true, force: true })
  const after = await eventually(
    async () => {
      const found = (await gateway.members()).find(({ name }) => name === 'c')
      if (found === undefined || found.id === before?.id) throw new Error('c is not there as another one')
      return found
    },
    { withinMs: 30_000, what: 'c to come back' },
  )
  expect(after.clientUrls).toEqual(before?.clientUrls)
  expect(existsSync(join(directoryOf('c'), 'data', 'member'))).toBe(true)
  const alone = new EtcdGateway({
    endpoints: seats.filter(({ name }) => name === 'c').map(clientUrl),
    tls: await credentialsOf({ role: 'controller', name: 'test' }),
  })
  await eventually(async () => (await alone.read('/holdfast/')).entries[0]?.value === '1', { withinMs: 10_000 })
})
