import type { HoldfastEvent, Status } from '@holdfast/core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { StartedCluster, StartedSentinel } from '../support/cache-engines.ts'
import { startCluster, startSentinel } from '../support/cache-engines.ts'
import { freePorts } from '../support/engines.ts'
import { eventually } from '../support/eventually.ts'
import type { Running } from '../support/program.ts'
import { Program } from '../support/program.ts'

/* What somebody else runs, and a user of it who may look and do nothing else. */
const password = 'only:looking/%'
const env = { HOLDFAST_ADOPT_PASSWORD: password }
let it: Program
let serving: Running

beforeAll(async () => {
  it = new Program({ engines: false })
  await serve()
})

afterAll(async () => {
  serving?.signal('SIGTERM')
  await serving?.ended
  await it?.close()
})

const serve = async (): Promise<void> => {
  serving = it.start(['serve', '--port', String(await freePorts(1))])
  await eventually(() => it.controller() !== undefined, { what: 'a controller runs' })
}

describe('a Cluster that is adopted', () => {
  let cluster: StartedCluster
  let url: string

  beforeAll(async () => {
    const users = [`user watcher on >${password} -@all +info +cluster|info +cluster|nodes`]
    cluster = await startCluster({ users, shards: 3 })
    url = `redis://watcher@127.0.0.1:${cluster.primaries[0]?.address.port}`
  })

  afterAll(() => cluster?.close())

  const at = (index: number): string => `127.0.0.1:${cluster.nodes[index]?.address.port}`

  test('is refused by a wrong password, and nothing of it stays', async () => {
    const said = await it.refused('ENGINE_REFUSED', ['adopt', url, '--name', 'theirs'], {
      env: { HOLDFAST_ADOPT_PASSWORD: 'wrong-one' },
    })
    expect(said).toContain('WRONGPASS')
    expect(said).not.toContain('wrong-one')
    expect(await it.ask('/deployments')).toMatchObject({ adopted: [] })
  })

  test('is shown with its shards and copies, by a user who may only look', async () => {
    const { stdout, stderr } = await it.ok(['adopt', url, '--name', 'theirs'], { env })
    expect(stdout).toBe('theirs\n')
    expect(stderr).toContain('cluster, 6 nodes')
    const status = await eventually(async () => {
      const seen = await it.ask<Status>('/deployments/theirs')
      expect(seen).toMatchObject({ ready: 'yes', copiesInSync: 2, because: '3 shards, 6 of 6 nodes in sync' })
      return seen
    })
    expect(status.shards.map(({ id, primary, replicas }) => [id, primary, replicas])).toEqual(
      [0, 1, 2].map((index) => [`shard-${index + 1}`, at(index), [at(index + 3)]]),
    )
    expect(await it.refused('REFUSED_UNSAFE', ['adopt', url, '--name', 'again'], { env })).toContain(
      'already, as theirs',
    )
  })

  test('is never acted on, whatever is asked', async () => {
    const file = it.file('theirs.yaml', { name: 'theirs' })
    // The door's own test has every route.
    const commands = [
      ['up', 'theirs'],
      ['up', file],
      ['down', 'theirs', '--yes'],
    ]
    for (const command of commands) expect(await it.refused('REFUSED_ADOPTED', command)).toContain('theirs is adopted')
  })

  test('is told of when another node takes over, also to the controller that comes next', async () => {
    await cluster.primaries[0]?.kill()
    await eventually(async () => {
      const { events } = await it.ask<{ events: HoldfastEvent[] }>('/events?deployment=theirs')
      expect(events.map(({ because }) => because)).toContain(`${at(3)} is primary of shard-1, was ${at(0)}`)
      return true
    })
    await it.killController()
    await serving.ended
    await serve()
    await eventually(async () => {
      const { ready, because, nodes, shards } = await it.ask<Status>('/deployments/theirs')
      expect({ ready, primary: shards[0]?.primary }).toEqual({ ready: 'no', primary: at(3) })
      expect(because).toContain(`${at(0)} has failed`)
      expect(nodes.find(({ id }) => id === at(0))).toMatchObject({ shard: 'shard-1', state: 'unknown' })
      return true
    })
  })

  test('has been asked by reading commands alone, and is forgotten without a trace there', async () => {
    const living = cluster.nodes.slice(1)
    // The watcher may ask what is read, and nothing else; nothing else was tried.
    for (const node of living) {
      const denied = String(await node.command('INFO', 'errorstats'))
      expect(denied).not.toContain('errorstat_NOPERM')
      expect(String(await node.command('ACL', 'LOG'))).not.toContain('command')
    }
    await it.ok(['down', 'theirs', '--purge', '--yes'])
    expect(await it.ask('/deployments')).toMatchObject({ deployments: [], adopted: [] })
    await eventually(async () => {
      const clients = await Promise.all(living.map((node) => node.command('CLIENT', 'LIST')))
      expect(clients.join('\n')).not.toContain('user=watcher')
      return true
    })
  })
})

describe('a primary with Sentinels that is adopted', () => {
  let watched: StartedSentinel

  beforeAll(async () => {
    const users = [`user watcher on >${password} -@all +info`]
    watched = await startSentinel({ users, downAfterMs: 1000 })
  })

  afterAll(() => watched?.close())

  test('is shown as its Sentinels tell it, followed through a failover, and acted on by nobody', async () => {
    const [first, ...others] = watched.sentinels
    const url = `holdfast+sentinel://watcher@127.0.0.1:${first?.address.port}/${watched.masterName}`
    const { stderr } = await it.ok(['adopt', url, '--name', 'watched'], { env })
    expect(stderr).toContain('sentinel')
    const at = ({ address }: { readonly address: { readonly port: number } }): string => `127.0.0.1:${address.port}`
    const status = await eventually(async () => {
      const seen = await it.ask<Status>('/deployments/watched')
      expect(seen).toMatchObject({ topology: 'sentinel', ready: 'yes', copiesInSync: 3 })
      return seen
    })
    expect(status.shards).toMatchObject([{ id: 'shard-1', primary: at(watched.primary) }])
    expect(status.sentinels).toHaveLength(1 + others.length)
    await watched.primary.kill()
    await eventually(
      async () => {
        const { shards, ready } = await it.ask<Status>('/deployments/watched')
        expect(watched.replicas.map(at)).toContain(shards[0]?.primary)
        expect(ready).toBe('no')
      },
      { withinMs: 15_000, what: 'another primary' },
    )
    for (const node of watched.replicas) {
      expect(String(await node.command('ACL', 'LOG'))).not.toContain('watcher')
      expect(String(await node.command('INFO', 'errorstats'))).not.toContain('errorstat_NOPERM')
    }
    await it.ok(['down', 'watched', '--purge', '--yes'])
  })
})
