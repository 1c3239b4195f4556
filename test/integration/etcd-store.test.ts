import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { findEtcd } from '../../packages/control/src/binary/etcd.ts'
import { engineWorld } from '../../packages/control/src/binary/find.ts'
import { systemClock } from '../../packages/control/src/clock.ts'
import { bootId } from '../../packages/control/src/proc.ts'
import { EtcdStore } from '../../packages/control/src/store/etcd/etcd-store.ts'
import { EtcdGateway } from '../../packages/control/src/store/etcd/gateway.ts'
import { parseEtcdPlace } from '../../packages/control/src/store/etcd/place.ts'
import { chooseEtcd, openStore } from '../../packages/control/src/store/open-store.ts'
import { SqliteStore } from '../../packages/control/src/store/sqlite-store.ts'
import {
  aDocument,
  codeOf,
  describeAdoptions,
  describeStore,
} from '../../packages/control/test/store/store.contract.ts'
import { temporaryHome } from '../../packages/control/test/store/temporary-home.ts'
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

  test('a home that had a file takes all of it along, once, and its epochs go on', async () => {
    const { home, clean } = temporaryHome()
    const place = { ...parseEtcdPlace(etcd.url.replace('http', 'etcd'), {}), prefix: newPrefix() }
    const file = new SqliteStore({ home, bootId: bootId() })
    const nodes = [{ id: 'node-1', shard: 'shard-1', host: 'a', address: '10.0.0.1', port: 7001 }]
    const saved = await file.save(aDocument({ nodes }))
    await file.settings.swap('adminHash', undefined, 'scrypt$…')
    for (const holder of ['a', 'b']) {
      await file.lease('shop', { holder, now: 0, forMs: 1000 })
      await file.release('shop', holder)
    }
    file.close()
    const said: string[] = []
    for (let tries = 0; tries < 2; tries++) await chooseEtcd(home, place, (line) => said.push(line))
    expect(said).toEqual(['taken along into etcd: shop'])
    const store = await openStore(home)
    expect(store.load('shop')).toEqual({ ...saved, revision: 1 })
    expect(store.settings.get('adminHash')).toBe('scrypt$…')
    const lease = await store.lease('shop', { holder: 'c', now: systemClock.now(), forMs: 2000 })
    expect(lease).toMatchObject({ holder: 'c', epoch: 3 })
    store.close()
    clean()
  })

  test('what is of this machine alone is not taken along, and nothing of two homes is mixed', async () => {
    const { home, clean } = temporaryHome()
    const place = { ...parseEtcdPlace(etcd.url.replace('http', 'etcd'), {}), prefix: newPrefix() }
    const file = new SqliteStore({ home, bootId: bootId() })
    const at = (host: string) => [{ id: 'node-1', shard: 'shard-1', host, address: '127.0.0.1', port: 7001 }]
    const local = await file.save(aDocument({ nodes: at('local') }))
    expect(await codeOf(() => chooseEtcd(home, place, () => undefined))).toBe('REFUSED_UNSAFE')
    await file.save({ ...local, nodes: at('a') })
    file.close()
    const { home: other, clean: cleanOther } = temporaryHome()
    copyFileSync(home.key, other.key)
    await chooseEtcd(other, place, () => undefined)
    const theirs = await openStore(other)
    await theirs.save(aDocument({ secrets: { app: 'another' } }))
    expect(await codeOf(() => chooseEtcd(home, place, () => undefined))).toBe('REFUSED_UNSAFE')
    expect(theirs.load('shop')?.secrets).toEqual({ app: 'another' })
    theirs.close()
    clean()
    cleanOther()
  })

  test('a second home needs the key of the first, and is told so', async () => {
    const [{ home, clean }, { home: second, clean: cleanSecond }] = [temporaryHome(), temporaryHome()]
    const place = { ...parseEtcdPlace(etcd.url.replace('http', 'etcd'), {}), prefix: newPrefix() }
    await chooseEtcd(home, place, () => undefined)
    const refused = chooseEtcd(second, place, () => undefined)
    await expect(refused).rejects.toMatchObject({
      code: 'REFUSED_UNSAFE',
      message: expect.stringContaining('copy the file'),
    })
    copyFileSync(home.key, second.key)
    await chooseEtcd(second, place, () => undefined)
    ;(await openStore(second)).close()
    clean()
    cleanSecond()
  })

  test('one that asks who comes is told by a user and a password, also when what it gave for them is over', async () => {
    const gateway = new EtcdGateway({ endpoints: [etcd.url], user: { name: 'root', password: 'canary' } })
    const wrong = new EtcdGateway({ endpoints: [etcd.url], user: { name: 'root', password: 'wrong' } })
    const ask = async (path: string, body: object, token = ''): Promise<{ token?: string }> => {
      const headers = token === '' ? {} : { authorization: token }
      return (
        await fetch(`${etcd.url}/v3/auth/${path}`, { method: 'POST', headers, body: JSON.stringify(body) })
      ).json() as Promise<{ token?: string }>
    }
    await ask('user/add', { name: 'root', password: 'canary' })
    await ask('user/grant', { user: 'root', role: 'root' })
    await ask('enable', {})
    try {
      await gateway.read('/')
      await expect(wrong.read('/')).rejects.toMatchObject({
        code: 'UNREACHABLE_STORE',
        message: expect.stringContaining('refuses'),
      })
      await expect(new EtcdGateway({ endpoints: [etcd.url] }).read('/')).rejects.toMatchObject({
        code: 'UNREACHABLE_STORE',
      })
      // Whatever changes who may do what makes the tokens of before worth nothing.
      const { token = '' } = await ask('authenticate', { name: 'root', password: 'canary' })
      await ask('user/changepw', { name: 'root', password: 'canary' }, token)
      await gateway.read('/')
    } finally {
      const { token = '' } = await ask('authenticate', { name: 'root', password: 'canary' })
      await ask('disable', {}, token)
    }
  })

  test('who stands by hears of a document that is saved, of a lease that is given back, and of another setting', async () => {
    const prefix = newPrefix()
    const [acting, standing] = [await open(prefix), await open(prefix)]
    const heard: (string | undefined)[] = []
    standing.onChange((name) => heard.push(name))
    await acting.save(aDocument())
    await acting.lease('shop', { holder: 'a', now: systemClock.now(), forMs: 2000 })
    await eventually(() => heard.includes('shop'))
    heard.length = 0
    await acting.settings.swap('hosts/b', undefined, 'x')
    await acting.release('shop', 'a')
    await eventually(() => heard.includes(undefined) && heard.includes('shop'))
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

  test('what somebody without the key has written there is not obeyed', async () => {
    const prefix = newPrefix()
    const store = await open(prefix)
    await store.save(aDocument())
    const gateway = new EtcdGateway({ endpoints: [etcd.url] })
    const at = `${prefix}documents/shop`
    const [kept] = (await gateway.read(at)).entries
    await gateway.writeIf([], [{ put: at, value: kept?.value.replace('up', 'down') ?? '' }])
    await eventually(() => codeOf(() => store.load('shop')) === 'REFUSED_UNSAFE')
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
