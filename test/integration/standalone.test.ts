import { spawn } from 'node:child_process'
import { existsSync, rmSync } from 'node:fs'
import { createCache } from '@holdfast/cache'
import { accessTo, urlFor } from '@holdfast/core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { TestDeployment } from '../support/deployment.ts'
import { findTestEngine } from '../support/engines.ts'
import { eventually } from '../support/eventually.ts'

const flock = 'flock'
const standalone = { topology: 'standalone', shards: 1, replicasPerShard: 0 }

describe('one engine without a copy', () => {
  let it: TestDeployment

  beforeAll(async () => {
    it = await TestDeployment.up(standalone)
    // Before its first revision is settled, an empty engine is a beginning and no loss.
    await eventually(() => it.status().settledRevision === 1)
  })

  afterAll(async () => {
    await it?.close()
  })

  const restarted = async (pid: number | null): Promise<void> => {
    await eventually(() => it.node('node-1').pid !== pid && it.node('node-1').pid !== null)
    await it.ready()
  }

  test('is no node of a Cluster, and says what it does not protect from', async () => {
    const status = it.status()
    expect(status).toMatchObject({ topology: 'standalone', copiesInSync: 1, sentinels: [] })
    expect(status.shards).toEqual([{ id: 'shard-1', slots: [[0, 16_383]], primary: 'node-1', replicas: [] }])
    expect(status.lossWindow).toMatch(/^no second copy: /)
    expect(status.because).toContain('it is away while it is restarted')
    expect(String(await it.command('node-1', 'INFO', 'cluster'))).toContain('cluster_enabled:0')
  })

  test('is reached by the cache client with the url that is printed', async () => {
    const facts = accessTo(it.status(), { user: 'app', password: it.password })
    const cache = createCache({ url: urlFor('holdfast', facts, { showSecret: true }), namespace: 'it', ttl: '1m' })
    await cache.set('from', 'cache')
    expect(await cache.get('from')).toBe('cache')
    await cache.close()
  })

  test('is started again with its data after a kill', async () => {
    const { pid } = it.node('node-1')
    await it.command('node-1', 'SET', 'a', 'kept')
    it.kill('node-1')
    await restarted(pid)
    expect(await it.command('node-1', 'GET', 'a')).toBe('kept')
    expect(it.told('loss')).toEqual([])
  })

  test('is adopted by the next controller, which keeps it up as well', async () => {
    const pid = it.pidOf('node-1')
    await it.stopController()
    await it.startController()
    await it.ready()
    expect(it.pidOf('node-1')).toBe(pid)
    it.kill('node-1')
    await restarted(pid)
    expect(await it.command('node-1', 'GET', 'a')).toBe('kept')
  })

  test('is killed and started again where it is frozen, since its files have every write', async () => {
    const pid = it.pidOf('node-1')
    process.kill(pid, 'SIGSTOP')
    await restarted(pid)
    expect(await it.command('node-1', 'GET', 'a')).toBe('kept')
  })

  test('its directory is locked as long as its process lives', async () => {
    const lock = `${it.place.home.node(it.name, 'node-1')}/lock`
    const tryLock = async (): Promise<number | null> =>
      new Promise((resolve) => {
        spawn(flock, ['--nonblock', lock, 'true']).once('exit', resolve)
      })
    expect(await tryLock()).not.toBe(0)
    await it.stopController()
    it.kill('node-1')
    await eventually(async () => (await tryLock()) === 0)
    // Somebody starts an engine there by hand, without the lock: it is not joined by a second one.
    const { server, env } = await findTestEngine()
    const byHand = spawn(server, [`${it.place.home.node(it.name, 'node-1')}/engine.conf`], {
      cwd: it.place.dataDir(it.name, 'node-1'),
      env: { ...process.env, ...env },
      stdio: 'ignore',
    })
    await eventually(() => it.place.pidOf(it.name, 'node-1') === byHand.pid)
    await it.startController()
    await it.ready()
    expect(it.pidOf('node-1')).toBe(byHand.pid)
  })

  test('without its files it starts empty, as a cache may, and the loss is told', async () => {
    const { mark } = it
    const pid = it.pidOf('node-1')
    // A controller that runs would start it before the files are gone.
    await it.stopController()
    it.kill('node-1')
    rmSync(it.place.dataDir(it.name, 'node-1'), { recursive: true })
    await it.startController()
    await restarted(pid)
    expect(await it.command('node-1', 'DBSIZE')).toBe(0)
    expect(it.told('loss', mark)).toEqual(['data lost: shard-1 has no copy left: it starts empty'])
  })

  test('goes down, comes back with its data, and is purged', async () => {
    await it.command('node-1', 'SET', 'a', 'again')
    await it.controller.setWanted(it.name, 'down', { purge: false, acceptDataLoss: false }, 'test')
    await eventually(() => it.node('node-1').state === 'stopped')
    await it.controller.setWanted(it.name, 'up', { purge: false, acceptDataLoss: false }, 'test')
    await it.ready()
    expect(await it.command('node-1', 'GET', 'a')).toBe('again')
    const directory = it.place.home.node(it.name, 'node-1')
    await it.controller.setWanted(it.name, 'down', { purge: true, acceptDataLoss: false }, 'test')
    await eventually(() => !it.controller.names().includes(it.name))
    expect(existsSync(directory)).toBe(false)
  })
})
