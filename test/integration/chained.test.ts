import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { EngineLink } from '../../packages/control/src/engine/link.ts'
import { secretsOf, TestDeployment } from '../support/deployment.ts'
import { eventually } from '../support/eventually.ts'
import { Writing } from '../support/writing.ts'

/* One deployment for all: each test breaks it in its own way and wants it ready again. */
describe('a replica that is chained behind a replica', () => {
  let it: TestDeployment

  beforeAll(async () => {
    it = await TestDeployment.up({
      topology: 'sentinel',
      shards: 1,
      replicasPerShard: 2,
      chained: 1,
      persistence: 'none',
    })
  })

  afterEach(async () => {
    await it.ready()
  })

  afterAll(async () => {
    await it?.close()
  })

  const primary = () => it.primaryOf('shard-1')
  const chained = () => {
    const [id = ''] = it.status().shards[0]?.chained ?? []
    return it.node(id)
  }

  const contentOf = async (id: string): Promise<unknown> => {
    const keys = ((await it.command(id, 'KEYS', '*')) as string[]).sort()
    return keys.length === 0 ? [] : [keys, await it.command(id, 'MGET', ...keys)]
  }

  /** The chained one has what the primary has, key by key. */
  const isEqual = () =>
    eventually(async () => expect(await contentOf(chained().id)).toEqual(await contentOf(primary().id)))

  const replicasOf = async (sentinel: string): Promise<string> => {
    const { host, port } = it.status().sentinels.find(({ id }) => id === sentinel) ?? { host: '', port: 0 }
    const password = secretsOf(it.place.home, it.name)['admin'] ?? ''
    const link = new EngineLink({ address: host, port, username: 'admin', password, name: 'somebody' })
    try {
      return JSON.stringify(await link.command(['SENTINEL', 'REPLICAS', it.name], 5000))
    } finally {
      link.close()
    }
  }

  test('follows a replica, and neither counts nor is known to the Sentinels', async () => {
    const status = it.status()
    expect(status).toMatchObject({ copiesInSync: 3, shards: [{ primary: 'node-1', replicas: ['node-2', 'node-3'] }] })
    expect(status.because).toBe('3 of 3 nodes in sync and 1 chained behind them, 3 Sentinels agree on node-1')
    expect(it.node('node-4')).toMatchObject({ role: 'replica', upstream: 'node-2', link: 'up', lag: 0 })
    expect(await replicasOf('sentinel-1')).not.toContain(String(it.node('node-4').port))
  })

  test('its upstream dies, then the primary: it follows others, and has every write', async () => {
    const [former, upstream] = [primary().id, chained().upstream ?? '']
    const writing = new Writing(it, ['ioredis', 'cache'])
    try {
      await eventually(() => expect(writing.hasAcked(200)).toBe(true))
      const { pid } = it.node(upstream)
      it.kill(upstream)
      // Behind another, or behind the same that is back already.
      await eventually(() => {
        expect(it.node(upstream).pid).not.toBe(pid)
        expect(chained()).toMatchObject({ link: 'up', upstream: expect.not.stringMatching(former) })
      })
      await it.ready()
      it.kill(former)
      await eventually(() => expect(primary().id).not.toBe(former))
      await it.ready()
      const readyAt = Date.now()
      await eventually(() => expect(writing.hasAcked(50, readyAt)).toBe(true))
      await writing.close()
      await isEqual()
      expect(await writing.check()).toMatchObject({ lost: [], contradictions: [], differing: [] })
    } finally {
      await writing.close()
    }
    expect(chained().upstream).not.toBe(primary().id)
  })

  test('its upstream becomes primary: it follows another replica, and no Sentinel brings it back', async () => {
    const upstream = chained().upstream ?? ''
    const wish = { id: 'handover', kind: 'switchover', subject: 'shard-1', to: upstream } as const
    expect(await it.over(it.controller.askOperation(it.name, wish, 'test'))).toMatchObject({ state: 'done' })
    await it.ready()
    expect(primary().id).toBe(upstream)
    expect(chained().upstream).not.toBe(upstream)
    expect(await it.command(chained().id, 'ACL', 'LIST')).not.toContainEqual(expect.stringContaining('user sentinel'))
  })

  test('all others die and leave no file: it is the last copy, and becomes primary with all it has', async () => {
    await it.command(primary().id, 'SET', 'kept', 'yes')
    const [last, dead] = [chained().id, primary().id]
    it.kill('node-1', 'node-2', 'node-3')
    await eventually(() => expect(primary().id).toBe(last), { withinMs: 15_000 })
    await it.ready()
    expect(await it.command(last, 'GET', 'kept')).toBe('yes')
    expect(chained()).toMatchObject({ id: dead, upstream: expect.stringContaining('node-') })
    expect(it.told('loss').join()).toContain(`${last}, chained behind them, is the last copy`)
    await isEqual()
  })
})
