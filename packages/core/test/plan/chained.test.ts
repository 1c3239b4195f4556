import { describe, expect, test } from 'vitest'
import type { SpecText } from '../../src/index.ts'
import { judgeReadiness, missingCopies, parseSpec, renderProxy, statusOf } from '../../src/index.ts'
import type { Break, Deployment } from '../support/deployment.ts'
import {
  absent,
  dead,
  factsOf,
  failedStarts,
  behind as lagging,
  linkDown,
  silentFor,
  withFiles,
  withoutData,
} from '../support/deployment.ts'
import { replanned } from '../support/layout.ts'
import { asked, saved, withOperation } from '../support/operations.ts'
import { aRestore } from '../support/transfers.ts'
import { sees, watched } from '../support/watched.ts'

const told = (actions: readonly { readonly kind: string; readonly node: string }[]): string[] =>
  actions.map(({ kind, node }) => `${kind} ${node}`)

const portOf = (node: string): number => 7000 + Number(node.replace('node-', ''))

const behind =
  (id: string, upstream: string): Break =>
  (world) => {
    const { link } = factsOf(world, id)
    if (link === null) throw new Error(`${id} is no replica`)
    Object.assign(link, { primaryPort: portOf(upstream), priority: 0 })
  }

/** node-1 and its replicas node-2 and node-3; node-4 and node-5 are chained, each behind one of them. */
const two = (...breaks: Break[]): Deployment =>
  chain(2, behind('node-4', 'node-2'), behind('node-5', 'node-3'), ...breaks)
const one = (...breaks: Break[]): Deployment => chain(1, behind('node-4', 'node-2'), ...breaks)

function chain(chained: number, ...breaks: Break[]): Deployment {
  const unknown = sees('all', (watch) => {
    watch.replicas = watch.replicas.filter(({ port }) => port <= 7003)
  })
  return watched({ spec: { chained } }).with(unknown, ...breaks)
}

const linkDownFor =
  (id: string, seconds: number): Break =>
  (world) => {
    Object.assign(factsOf(world, id).link ?? {}, { state: 'down', downSeconds: seconds })
  }

const promoted =
  (id: string): Break =>
  (world) => {
    const facts = factsOf(world, id)
    Object.assign(facts, { role: 'primary', link: null, replidBefore: facts.replid, replid: 'f'.repeat(40) })
  }

describe('chained replicas', () => {
  test('are ready behind replicas, and count as no copy', () => {
    expect(two().plan()).toMatchObject({
      actions: [],
      because: '3 of 3 nodes in sync and 2 chained behind them, 3 Sentinels agree on node-1',
    })
    const status = statusOf({
      ...two().input(),
      plan: two().plan(),
      controller: { id: 'c', epoch: 1, lease: 'held' },
      engine: null,
    })
    expect(status).toMatchObject({
      copiesInSync: 3,
      shards: [{ replicas: ['node-2', 'node-3'], chained: ['node-4', 'node-5'] }],
    })
    expect(status.nodes.map(({ id, upstream }) => [id, upstream])).toEqual([
      ['node-1', undefined],
      ['node-2', undefined],
      ['node-3', undefined],
      ['node-4', 'node-2'],
      ['node-5', 'node-3'],
    ])
  })

  test.each<[string, Deployment, string[], RegExp]>([
    ['its upstream is dead', two(dead('node-2')), ['start node-2'], /^starting node-2/],
    [
      'its upstream has lost its link',
      two(linkDown('node-2', 1000)),
      ['replicate node-4'],
      /^node-4 is chained behind node-3 from now on$/,
    ],
    ['all behind one', two(behind('node-5', 'node-2')), ['replicate node-5'], /^node-5 is chained behind node-3/],
    [
      'one behind the primary',
      one(behind('node-4', 'node-1')),
      ['replicate node-4'],
      /^node-4 is chained behind node-2/,
    ],
    ['one that somebody let go', one(promoted('node-4')), ['replicate node-4'], /^node-4 is chained behind node-2/],
    ['one is dead', one(dead('node-4')), ['start node-4'], /^starting node-4: it is chained behind node-2/],
    [
      'one that a Sentinel could promote',
      one((world) => Object.assign(factsOf(world, 'node-4').link ?? {}, { priority: 100 })),
      ['set-priority node-4'],
      /no Sentinel shall ever promote it/,
    ],
    ['a frozen one', one(silentFor('node-4', 3000, 'stopped')), ['fence node-4'], /killing it to start it again$/],
  ])('%s', (_, deployment, actions, because) => {
    const plan = deployment.plan()
    expect(told(plan.actions)).toEqual(actions)
    expect(plan.because).toMatch(because)
    expect(judgeReadiness(deployment.picture()).ready).not.toBe(actions[0]?.startsWith('set-priority') ? 'no' : 'yes')
  })

  test('a death of a replica and its return move no more than they must', () => {
    const fellBack = two(behind('node-4', 'node-3'))
    expect(told(fellBack.plan().actions)).toEqual(['replicate node-5'])
    expect(fellBack.with(behind('node-5', 'node-2')).plan().actions).toEqual([])
  })

  test('without a replica in sync it waits as long as a restart takes, and then follows the primary', () => {
    const cut = [linkDown('node-2', 1000), linkDown('node-3', 1000)]
    expect(told(one(...cut, linkDownFor('node-4', 1)).plan().actions)).toEqual([])
    const waited = one(...cut, linkDownFor('node-4', 3)).plan()
    expect(waited.actions).toEqual([
      { kind: 'replicate', node: 'node-4', primary: { address: '127.0.0.1', port: 7001 } },
    ])
    expect(told(one(...cut, behind('node-4', 'node-1')).plan().actions)).toEqual([])
  })

  test('nothing is decided about it while nobody is known to be the primary', () => {
    const lost = one(silentFor('node-1', 500), behind('node-4', 'node-1')).plan()
    expect(told(lost.actions)).toEqual([])
  })

  test('one that Sentinels have met is forgotten, but not while it follows the primary', () => {
    const met = sees('sentinel-1', (watch) => {
      const [replica] = watch.replicas
      if (replica !== undefined) watch.replicas.push({ ...replica, port: 7004 })
    })
    expect(told(one(met).plan().actions)).toEqual(['reset-sentinel sentinel-1'])
    const alone = [linkDown('node-2', 1000), linkDown('node-3', 1000), behind('node-4', 'node-1')]
    expect(told(one(met, ...alone).plan().actions)).toEqual([])
  })

  test('the proxy leads to none of them', () => {
    const { spec, document } = one()
    const place = { id: 'proxy', host: 'local', address: '127.0.0.1', port: 7101, replicaPort: 7102 }
    expect(renderProxy({ spec, document, place })).not.toContain('node-4')
  })

  test('a restart takes it before those that it follows', () => {
    const plan = saved(one(withOperation(asked({ kind: 'restart', subject: 'shop' })))).plan()
    expect(told(plan.actions)).toEqual(['stop node-4'])
    expect(plan.because).toBe('restarting node-4 (1 of 4), which is chained')
  })
})

describe('how many there are', () => {
  const lacking = (spec: SpecText) =>
    missingCopies(one().document, parseSpec({ name: 'shop', topology: 'sentinel', replicasPerShard: 2, ...spec }))

  test('more of them get places of their own, and fewer leave one at a time, the dead first', () => {
    expect(lacking({ chained: 2 })).toEqual([{ shard: 'shard-1', chained: true }])
    const fewer = two((world) => Object.assign(world.spec, { chained: 1 }))
    expect(fewer.plan()).toMatchObject({ because: 'node-5 goes: the spec wants 1 chained', places: [{ id: 'node-5' }] })
    const broken = fewer.with(dead('node-4'), failedStarts('node-4', 3, 100))
    expect(broken.plan()).toMatchObject({ places: [{ id: 'node-4', place: { leaving: {} } }] })
  })

  test.each([
    [{ topology: 'cluster' }, /refuses to follow a replica/],
    [{ topology: 'standalone' }, /has no replica that could be followed/],
  ])('only where Sentinels watch: %o', (fields, because) => {
    expect(() => parseSpec({ name: 'shop', ...fields, chained: 1 })).toThrow(because)
  })
})

describe('the last copy', () => {
  const others = ['node-1', 'node-2', 'node-3']
  const all = others.map((id) => dead(id))
  const alone = (...breaks: Break[]): Deployment =>
    one(...all, ...others.map(withoutData), linkDownFor('node-4', 0), ...breaks)

  test('is promoted rather than an engine started empty', () => {
    const plan = alone().plan()
    expect(told(plan.actions)).toEqual(['promote node-4'])
    expect(plan.notes).toMatchObject([{ kind: 'loss', subject: 'shard-1' }])
    expect(plan.because).toBe(
      'node-1 (primary of shard-1) and its replicas are gone, node-4, chained behind them, is the last copy: promoting it',
    )
  })

  test('changes places with the dead primary, which is chained from then on', () => {
    const swapped = replanned(alone(promoted('node-4')))
    expect(swapped.document.nodes.filter(({ chained }) => chained === true).map(({ id }) => id)).toEqual(['node-1'])
    expect(swapped.picture().shards[0]?.primary?.id).toBe('node-4')
    expect(told(swapped.plan().actions)).toEqual(['start node-2', 'start node-3'])
  })

  test('where it is down too, its file is the one to start from', () => {
    const swapped = replanned(alone(dead('node-4')))
    expect(told(swapped.plan().actions)).toEqual(['start node-4'])
  })

  test('a restore puts its data aside as all other, so that what was given up does not come back', () => {
    const decided = withOperation(aRestore({ stage: 'replacing' }))
    const down = one(decided, ...[...others, 'node-4'].map(absent))
    expect(told(down.plan().actions)).toEqual([...others, 'node-4'].map((id) => `place ${id}`))
    expect(down.plan().actions.at(-1)).toMatchObject({ bytes: null })
    expect(told(one(decided, ...others.map(absent)).plan().actions)).toEqual(['stop node-4'])
  })

  test('is waited for where nobody has heard it', () => {
    const plan = alone(silentFor('node-4', 500)).plan()
    expect(told(plan.actions)).toEqual([])
    expect(plan.because).toContain('no copy left but what is chained: waiting for node-4 to answer')
  })

  test.each<[string, Deployment, string[]]>([
    ['the primary has every write in its files', one(...all), ['start node-1']],
    ['a replica lives', one(dead('node-1'), dead('node-3'), withoutData('node-1')), ['ask-sentinel sentinel-1']],
    ['it holds nothing', alone((world) => Object.assign(factsOf(world, 'node-4'), { keys: 0 })), ['start node-1']],
  ])('is not used where %s', (_, deployment, actions) => {
    expect(told(deployment.plan().actions)).toEqual(actions)
  })

  test.each([
    [0, 'promote node-4'],
    [5_000_000, 'start node-1'],
  ])('%i bytes behind, against a snapshot of the primary: %s', (bytes, action) => {
    const snapshots = others.map((id) => withFiles(id, { aof: false, rdb: true }))
    expect(told(one(...all, ...snapshots, lagging('node-4', bytes)).plan().actions)).toEqual([action])
  })
})
