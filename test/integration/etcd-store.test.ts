import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { findEtcd } from '../../packages/control/src/binary/etcd.ts'
import { engineWorld } from '../../packages/control/src/binary/find.ts'
import { systemClock } from '../../packages/control/src/clock.ts'
import { EtcdStore } from '../../packages/control/src/store/etcd/etcd-store.ts'
import { EtcdGateway } from '../../packages/control/src/store/etcd/gateway.ts'
import {
  aDocument,
  codeOf,
  describeAdoptions,
  describeStore,
} from '../../packages/control/test/store/store.contract.ts'
import { freePorts, programsHome } from '../support/engines.ts'
import { eventually } from '../support/eventually.ts'

interface Etcd {
  readonly url: string
  readonly pid: number
  close(): Promise<void>
}

let etcd: Etcd
beforeAll(async () => {
  etcd = await startEtcd()
}, 120_000)
afterAll(() => etcd?.close())

const key = randomBytes(32)
let homes = 0
/** Each a home of its own, in one etcd. */
const newPrefix = (): string => `/holdfast-test/${homes++}/`
const open = (prefix: string, withinMs?: number): Promise<EtcdStore> =>
  EtcdStore.open({
    gateway: new EtcdGateway({ endpoints: [etcd.url] }, withinMs),
    prefix,
    key: () => key,
    clock: systemClock,
  })

describeStore('etcd', () => {
  const prefix = newPrefix()
  return {
    open: () => open(prefix),
    clean: () => undefined,
    // Its shortest lease, in its own time.
    time: { now: () => systemClock.now(), pass: (ms) => delay(ms), leaseMs: 2000 },
  }
})

describeAdoptions('etcd', () => {
  const prefix = newPrefix()
  return {
    open: () => open(prefix),
    clean: () => undefined,
    kept: async () => JSON.stringify((await new EtcdGateway({ endpoints: [etcd.url] }).read(prefix)).entries),
  }
})

describe('etcd as a store', () => {
  test('a controller with another key is refused before it does anything', async () => {
    const prefix = newPrefix()
    const first = await open(prefix)
    const gateway = new EtcdGateway({ endpoints: [etcd.url] })
    const other = EtcdStore.open({ gateway, prefix, key: () => randomBytes(32), clock: systemClock })
    await expect(other).rejects.toMatchObject({
      code: 'REFUSED_UNSAFE',
      message: expect.stringContaining('secret.key'),
    })
    first.close()
  })

  test('who stands by hears of a document that is saved, of a lease that is given back, and of nothing of its own', async () => {
    const prefix = newPrefix()
    const [acting, standing] = [await open(prefix), await open(prefix)]
    const heard: (string | undefined)[] = []
    const own: (string | undefined)[] = []
    standing.onChange((name) => heard.push(name))
    acting.onChange((name) => own.push(name))
    await acting.save(aDocument())
    await acting.lease('shop', { holder: 'a', now: systemClock.now(), forMs: 2000 })
    await eventually(() => heard.includes('shop'))
    heard.length = 0
    await acting.settings.swap('hosts/b', undefined, 'x')
    await acting.release('shop', 'a')
    await eventually(() => heard.includes(undefined) && heard.includes('shop'))
    expect(own.filter((name) => name === undefined)).toEqual([])
    for (const store of [acting, standing]) store.close()
  })

  test('passwords are sealed in it', async () => {
    const prefix = newPrefix()
    const store = await open(prefix)
    await store.save(aDocument({ secrets: { app: 'canary-77' } }))
    const { entries } = await new EtcdGateway({ endpoints: [etcd.url] }).read(prefix)
    expect(entries.map(({ value }) => value).join()).not.toContain('canary-77')
    expect(entries.map(({ key: at }) => at)).toEqual([`${prefix}check`, `${prefix}documents/shop`])
    store.close()
  })

  test('a member that is away is passed over, and with none left it is said', async () => {
    const nobody = `http://127.0.0.1:${await freePorts(1)}`
    const [prefix, more] = [newPrefix(), { prefix: newPrefix(), key: () => key, clock: systemClock }]
    const store = await EtcdStore.open({ ...more, gateway: new EtcdGateway({ endpoints: [nobody, etcd.url] }) })
    await store.save(aDocument())
    expect(store.names()).toEqual(['shop'])
    store.close()
    const none = EtcdStore.open({
      prefix,
      key: () => key,
      clock: systemClock,
      gateway: new EtcdGateway({ endpoints: [nobody] }),
    })
    await expect(none).rejects.toMatchObject({ code: 'UNREACHABLE_STORE' })
  })

  test('while it hangs nothing is written and no lease renewed, what is known is still read, and it goes on after', async () => {
    const store = await open(newPrefix(), 300)
    const saved = await store.save(aDocument())
    const claim = () => ({ holder: 'a', now: systemClock.now(), forMs: 2000 })
    await store.lease('shop', claim())
    process.kill(etcd.pid, 'SIGSTOP')
    try {
      expect(await codeOf(() => store.save({ ...saved, wanted: 'down' }))).toBe('UNREACHABLE_STORE')
      expect(await codeOf(() => store.lease('shop', claim()))).toBe('UNREACHABLE_STORE')
      expect(store.load('shop')).toEqual(saved)
    } finally {
      process.kill(etcd.pid, 'SIGCONT')
    }
    await eventually(async () => (await store.lease('shop', claim())).holder === 'a')
    // What hung may have been written after all: whoever saves again learns it.
    await eventually(async () => {
      const now = store.load('shop') ?? saved
      return now.wanted === 'down' || (await store.save({ ...now, wanted: 'down' })).wanted === 'down'
    })
    store.close()
  })
})

async function startEtcd(): Promise<Etcd> {
  const { program, env } = await findEtcd(engineWorld(programsHome, (line) => console.log(line)))
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-etcd-'))
  const port = await freePorts(2)
  const [url, peers] = [`http://127.0.0.1:${port}`, `http://127.0.0.1:${port + 1}`]
  const settings = {
    'data-dir': join(directory, 'data'),
    'listen-client-urls': url,
    'advertise-client-urls': url,
    'listen-peer-urls': peers,
    'initial-advertise-peer-urls': peers,
    'initial-cluster': `default=${peers}`,
  }
  const args = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value])
  const child = spawn(program, args, { env: { ...process.env, ...env }, stdio: 'ignore' })
  const close = async (): Promise<void> => {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGKILL')
      await once(child, 'exit')
    }
    rmSync(directory, { recursive: true, force: true })
  }
  try {
    const gateway = new EtcdGateway({ endpoints: [url] })
    await eventually(() => gateway.read('/').then(() => true), { withinMs: 20_000, what: 'etcd to answer' })
    return { url, pid: child.pid ?? 0, close }
  } catch (error) {
    await close()
    throw error
  }
}
