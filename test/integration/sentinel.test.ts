import { execFile } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { createCache } from '@holdfast/cache'
import type { Client, FaultName, FaultSeen } from '@holdfast/core'
import { accessTo, urlFor } from '@holdfast/core'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { EngineLink } from '../../packages/control/src/engine/link.ts'
import { secretsOf, TestDeployment } from '../support/deployment.ts'
import { eventually } from '../support/eventually.ts'
import { byHand } from '../support/no-secrets.ts'
import { underWrites } from '../support/writing.ts'

/* One deployment for all: each test breaks it in its own way and wants it ready again. */
describe('a primary and its replicas, watched by Sentinels', () => {
  let it: TestDeployment
  const links: EngineLink[] = []

  beforeAll(async () => {
    it = await TestDeployment.up({ topology: 'sentinel', shards: 1, replicasPerShard: 2 })
  })

  afterEach(async () => {
    if (it.controller.names().includes(it.name)) await it.ready()
  })

  afterAll(async () => {
    for (const link of links) link.close()
    await it?.close()
  })

  const primary = () => it.primaryOf('shard-1')
  const told = (client: Client): string =>
    urlFor(client, accessTo(it.status(), { user: 'app', password: it.password }), { showSecret: true })

  const sentinel = (id: string) => {
    const found = it.status().sentinels.find((one) => one.id === id)
    if (found === undefined) throw new Error(`there is no ${id}`)
    return found
  }

  /** Of ioredis and of the cache client. */
  const keepsEveryWrite = async (work: () => Promise<void>): Promise<void> => {
    const { found } = await underWrites(it, work, ['ioredis', 'cache'])
    expect(found).toMatchObject({ lost: [], contradictions: [], differing: [] })
  }

  const inject = (fault: FaultName, node: string): Promise<FaultSeen> =>
    it.controller.injectFault(it.name, { fault, node, forMs: null, onProduction: it.name, drill: null }, 'test')

  const fileOf = (id: string): string => readFileSync(join(it.place.home.node(it.name, id), 'engine.conf'), 'utf8')

  /** A word to one Sentinel, as the user who may do everything unless said otherwise. */
  const ask = async (id: string, args: readonly string[], username = 'admin'): Promise<unknown> => {
    const { host, port } = sentinel(id)
    const password = secretsOf(it.place.home, it.name)[username] ?? ''
    const link = new EngineLink({ address: host, port, username, password, name: 'somebody' })
    links.push(link)
    return link.command(args, 5000)
  }

  test('comes up with three Sentinels that agree', () => {
    const status = it.status()
    expect(status).toMatchObject({ topology: 'sentinel', copiesInSync: 3 })
    expect(status.because).toBe('3 of 3 nodes in sync, 3 Sentinels agree on node-1')
    for (const one of status.sentinels) {
      expect(one).toMatchObject({ state: 'ok', names: 'node-1', peers: 2, quorum: true })
    }
  })

  test('nobody gets anything of a Sentinel without a password, and an application cannot command one', async () => {
    const { host, port } = sentinel('sentinel-1')
    const stranger = new EngineLink({ address: host, port, username: 'app', password: 'guessed', name: 'stranger' })
    await expect(stranger.command(['PING'])).rejects.toThrow(/WRONGPASS/)
    stranger.close()
    await expect(ask('sentinel-1', ['SENTINEL', 'FAILOVER', it.name], 'app')).rejects.toThrow(/NOPERM/)
    await expect(ask('sentinel-1', ['SENTINEL', 'REMOVE', it.name], 'probe')).rejects.toThrow(/NOPERM/)
  })

  test.each(['ioredis', 'node-redis'] as const)(
    '%s finds the primary with the lines that are printed',
    async (client) => {
      const name = client === 'ioredis' ? 'redis' : 'client'
      const more = `await ${name}.set('from', '${client}')
console.log(await ${name}.get('from'))
${client === 'ioredis' ? 'redis.disconnect()' : 'client.destroy()'}`
      const cwd = fileURLToPath(new URL('../..', import.meta.url))
      const run = promisify(execFile)
      const env = { ...process.env, ...byHand }
      const args = ['--input-type=module', '-e', `${told(client)}\n${more}`]
      const { stdout } = await run(process.execPath, args, { cwd, env })
      expect(stdout).toBe(`${client}\n`)
    },
  )

  test('the cache client finds it with the url alone', async () => {
    const cache = createCache({ url: told('holdfast'), namespace: 'it', ttl: '1m' })
    await cache.set('from', 'cache')
    expect(await cache.get('from')).toBe('cache')
    await cache.close()
  })

  test('a killed primary: one Sentinel is asked, nothing acknowledged is lost, the dead one follows', async () => {
    const [former, mark] = [primary(), it.mark]
    await keepsEveryWrite(async () => {
      it.kill(former.id)
      await eventually(() => primary().id !== former.id)
    })
    expect(it.told('action', mark).filter((one) => one.includes('to fail it over'))).toHaveLength(1)
    expect(it.told('sentinel', mark).filter((one) => one.includes('(+switch-master)'))).toHaveLength(1)
    expect(it.node(former.id)).toMatchObject({ role: 'replica', link: 'up' })
    for (const id of ['node-1', 'node-2', 'node-3']) {
      expect(JSON.stringify(await it.command(id, 'ACL', 'LOG'))).not.toContain('user=sentinel')
    }
    for (const id of ['sentinel-1', 'sentinel-2', 'sentinel-3']) {
      expect(JSON.stringify(await ask(id, ['ACL', 'LOG']))).not.toContain('user=sentinel')
    }
  })

  test('a switchover loses nothing that was acknowledged, and no client is left at the old primary', async () => {
    const former = primary()
    await keepsEveryWrite(async () => {
      const wish = { id: 'handover', kind: 'switchover', subject: 'shard-1' } as const
      expect(await it.over(it.controller.askOperation(it.name, wish, 'test'))).toMatchObject({ state: 'done' })
      expect(primary().id).not.toBe(former.id)
    })
    expect(it.node(former.id)).toMatchObject({ role: 'replica', link: 'up' })
  })

  test('a frozen primary is killed on proof, and replaced', async () => {
    const [former, mark] = [primary(), it.mark]
    process.kill(it.pidOf(former.id), 'SIGSTOP')
    await eventually(() => primary().id !== former.id, { withinMs: 15_000 })
    expect(it.told('turn', mark).some((because) => because.includes('frozen, killing it'))).toBe(true)
    await it.ready()
    expect(it.node(former.id)).toMatchObject({ role: 'replica', link: 'up' })
  })

  test('a primary that somebody else starts again without its data takes no write and gives no copy', async () => {
    const former = primary()
    await keepsEveryWrite(async () => {
      await inject('bounce', former.id)
      await eventually(() => primary().id !== former.id)
    })
    expect(it.node(former.id)).toMatchObject({ role: 'replica', link: 'up' })
    // Also the one that Sentinels have promoted, and told to write its file anew.
    await eventually(() =>
      it.status().nodes.every(({ id, port }) => fileOf(id).includes(`\nreplicaof 127.0.0.1 ${port}\n`)),
    )
  })

  test('a killed Sentinel is started again, with what it knew', async () => {
    const { pid, epoch } = sentinel('sentinel-2')
    const fault = await inject('kill-sentinel', 'sentinel-2')
    expect(fault.because).toBe('SIGKILL to sentinel-2')
    await eventually(() => sentinel('sentinel-2').pid !== pid && sentinel('sentinel-2').pid !== null)
    await it.ready()
    expect(sentinel('sentinel-2')).toMatchObject({ names: primary().id, epoch })
  })

  test('the next controller adopts engines and Sentinels', async () => {
    const pids = [...it.status().nodes, ...it.status().sentinels].map(({ pid }) => pid)
    await it.stopController()
    await it.startController()
    await it.ready()
    expect([...it.status().nodes, ...it.status().sentinels].map(({ pid }) => pid)).toEqual(pids)
  })

  test('settings changed by hand, a name that is watched no more, and a wrong primary are mended', async () => {
    await ask('sentinel-1', ['SENTINEL', 'SET', it.name, 'down-after-milliseconds', '60000'])
    await ask('sentinel-2', ['SENTINEL', 'REMOVE', it.name])
    await eventually(() => it.status().ready !== 'yes')
    await it.ready()
    const settings = String(await ask('sentinel-1', ['SENTINEL', 'MASTER', it.name]))
    expect(settings).toContain('down-after-milliseconds,5000')
    expect(sentinel('sentinel-2').names).toBe(primary().id)
  })

  test('a Sentinel that knows a stranger forgets it', async () => {
    // A fourth Sentinel that was there once and is gone: its greeting is all that is left of it.
    const { port } = primary()
    const words = `127.0.0.1,9,${'e'.repeat(40)},0,${it.name},127.0.0.1,${port},0`
    await ask('sentinel-3', ['PUBLISH', '__sentinel__:hello', words])
    await eventually(() => it.told('turn').some((because) => because.includes('Sentinel 127.0.0.1:9')))
    await eventually(() => it.told('action').some((because) => because.includes('forget whom it knows')))
    await it.ready()
    expect(sentinel('sentinel-3').peers).toBe(2)
  })

  test('goes down, Sentinels first, comes back with its data, and is purged', async () => {
    await it.command(primary().id, 'SET', 'a', 'kept')
    const [former, mark] = [primary().id, it.mark]
    const down = (purge: boolean) => it.controller.setWanted(it.name, 'down', { purge, acceptDataLoss: false }, 'test')
    await down(false)
    const states = () => [...it.status().nodes, ...it.status().sentinels].map(({ state }) => state)
    await eventually(() => states().every((state) => state === 'stopped'))
    expect(it.told('action', mark)[0]).toMatch(/^stop sentinel-/)
    await it.controller.setWanted(it.name, 'up', { purge: false, acceptDataLoss: false }, 'test')
    await it.ready()
    expect(primary().id).toBe(former)
    expect(await it.command(former, 'GET', 'a')).toBe('kept')
    const directory = it.place.home.node(it.name, 'sentinel-1')
    await down(true)
    await eventually(() => !it.controller.names().includes(it.name))
    expect(existsSync(directory)).toBe(false)
  })
})
