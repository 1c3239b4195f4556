import { describe, expect, test } from 'vitest'
import type { AgentProxySeen, ProxyFacts } from '../../src/index.ts'
import { describeChanges, judgeReadiness, placeProxy, planTurn, renderProxy, statusOf } from '../../src/index.ts'
import { accessPending } from '../../src/plan/access.ts'
import type { Break, Deployment } from '../support/deployment.ts'
import { dead, now, wallNow } from '../support/deployment.ts'
import { watched } from '../support/watched.ts'

const rendered = 'the file that is wanted'

const anAgent = (parts: Partial<AgentProxySeen> = {}, facts: Partial<ProxyFacts> = {}): AgentProxySeen => ({
  process: { state: 'running', pid: 6000, startTime: 77, stopped: false, cpuMs: 10, cpuRoseAt: now },
  answer: {
    kind: 'answered',
    at: now,
    facts: { primary: 'node-1', replicas: ['node-2', 'node-3'], told: null, ...facts },
  },
  starts: { failures: 0, lastAt: null, lastError: null },
  fencedAt: null,
  loaded: rendered,
  ...parts,
})

const seen =
  (agent: AgentProxySeen | null): Break =>
  (world) => {
    world.observed.proxy = { host: 'local', agent }
  }

/** A primary, two replicas, three Sentinels, and a proxy before them. */
const proxied = (agent: AgentProxySeen | null = anAgent(), proxy: unknown = 'yes'): Deployment =>
  watched({ spec: { expose: { proxy } } }).with(seen(agent))

function planOf(deployment: Deployment) {
  const input = deployment.input()
  return planTurn({ ...input, files: new Map([...input.files, ['proxy', { config: rendered, users: '' }]]) })
}

const unasked = { answer: { kind: 'unknown' } } as const
const gone = { ...unasked, process: { state: 'dead', since: now - 20, pid: 6000, lingering: false } } as const
const silent = { answer: { kind: 'silent', since: now - 2500 } } as const

describe('the proxy', () => {
  test('is left alone while it runs, has its file and leads to the primary', () => {
    expect(planOf(proxied()).actions).toEqual([])
    expect(judgeReadiness(proxied().picture()).ready).toBe('yes')
  })

  test('is started when it is gone, and that is not ready', () => {
    const down = proxied(anAgent(gone))
    expect(planOf(down)).toMatchObject({
      because: 'starting the proxy: it is not running',
      actions: [{ kind: 'start', node: 'proxy' }],
    })
    expect(judgeReadiness(down.picture())).toEqual({ ready: 'no', because: 'the proxy is dead' })
  })

  test('is not started again and again where it cannot start', () => {
    const starts = { failures: 3, lastAt: now - 100, lastError: 'cannot bind' }
    expect(planOf(proxied(anAgent({ ...gone, starts })))).toMatchObject({
      actions: [],
      because: 'the proxy failed to start 3 times (cannot bind): trying again in 1.9 s',
    })
  })

  test('is killed where it is frozen, once in a while, and left alone where it is busy', () => {
    const frozen = { ...silent, process: { ...anAgent().process, cpuRoseAt: now - 3000 } } as Partial<AgentProxySeen>
    expect(planOf(proxied(anAgent(frozen))).actions).toEqual([
      { kind: 'fence', node: 'proxy', pid: 6000, startTime: 77 },
    ])
    expect(planOf(proxied(anAgent({ ...frozen, fencedAt: now - 60_000 }))).actions).toEqual([])
    expect(planOf(proxied(anAgent(silent))).actions).toEqual([])
  })

  test('nothing is done where its agent does not answer', () => {
    expect(planOf(proxied(null)).actions).toEqual([])
    expect(judgeReadiness(proxied(null).picture())).toEqual({ ready: 'unknown', because: 'cannot see proxy' })
  })

  test('reads its file again when another is wanted', () => {
    expect(planOf(proxied(anAgent({ loaded: 'an older file' }))).actions).toMatchObject([
      { kind: 'reload', node: 'proxy' },
    ])
  })

  test('hears of another primary, once, and by the number that its file has for it', () => {
    const elsewhere = proxied(anAgent({}, { primary: 'node-3' }))
    expect(planOf(elsewhere)).toMatchObject({
      because: 'the proxy leads to node-3: it hears that node-1 is the primary',
      actions: [{ kind: 'point', node: 'proxy', to: 'node-1', number: 1 }],
    })
    expect(judgeReadiness(elsewhere.picture()).because).toBe('the proxy leads to node-3, and node-1 is the primary')
    expect(planOf(proxied(anAgent({}, { primary: null, told: 1 }))).actions).toEqual([])
    expect(planOf(proxied(anAgent({}, { primary: null, told: 2 }))).actions).toMatchObject([
      { kind: 'point', number: 1 },
    ])
  })

  test('hears no number before it has read the file that is wanted: an older one may mean another node by it', () => {
    const old = proxied(anAgent({ loaded: 'an older file' }, { primary: 'node-3' }))
    expect(planOf(old).actions.map(({ kind }) => kind)).toEqual(['reload'])
  })

  test('keeps a password from going that it still signs in with', () => {
    const pendingWith = (loaded: string) => {
      const input = proxied(anAgent({ loaded })).input()
      return accessPending({ ...input, files: new Map([...input.files, ['proxy', { config: rendered, users: '' }]]) })
    }
    expect(pendingWith('an older file')).toContain('the proxy still signs in as its former file says')
    expect(pendingWith(rendered).join()).not.toContain('proxy')
  })

  test('hears of nobody while nobody is the primary', () => {
    const plan = planOf(proxied(anAgent({}, { primary: null })).with(dead('node-1')))
    expect(plan.actions.map(({ kind }) => kind)).not.toContain('point')
  })

  test('goes, with its files, when nobody wants it any more', () => {
    expect(planOf(proxied(anAgent(), 'no')).actions).toEqual([{ kind: 'stop', node: 'proxy', save: false }])
    const stopped = anAgent({ ...unasked, process: { state: 'absent' } })
    expect(planOf(proxied(stopped, 'no')).actions).toEqual([{ kind: 'purge', node: 'proxy' }])
    expect(judgeReadiness(proxied(stopped, 'no').picture()).ready).toBe('yes')
  })

  test('goes first, with the Sentinels, where all goes down', () => {
    const down = proxied().with((world) => void (world.document.wanted = 'down'))
    expect(planOf(down).actions.map(({ kind, node }) => `${kind} ${node}`)).toEqual(
      ['proxy', 'sentinel-1', 'sentinel-2', 'sentinel-3'].map((id) => `stop ${id}`),
    )
  })
})

describe('what is told of it', () => {
  const statusIn = (deployment: Deployment) =>
    statusOf({
      document: deployment.document,
      spec: deployment.spec,
      picture: deployment.picture(),
      plan: deployment.plan(),
      controller: { id: 'c1', epoch: 4, lease: 'held' },
      engine: null,
      wallNow,
    })

  test('where it listens, how it is and whom it leads to', () => {
    expect(statusIn(proxied()).proxy).toEqual({
      id: 'proxy',
      hostId: 'local',
      host: '127.0.0.1',
      port: 7101,
      replicaPort: 7102,
      state: 'ok',
      primary: 'node-1',
      replicas: ['node-2', 'node-3'],
      pid: 6000,
    })
    expect(statusIn(watched()).proxy).toBeNull()
  })

  test('that it is away, that it is back, and that it leads elsewhere', () => {
    const [up, down] = [statusIn(proxied()), statusIn(proxied(anAgent(gone)))]
    const told = (was: typeof up, is: typeof up) =>
      describeChanges(was, is)
        .filter(({ subject }) => subject === 'proxy')
        .map(({ because }) => because)
    expect(told(up, down)).toEqual(['the proxy is dead, was ok'])
    expect(told(down, up)).toEqual(['the proxy is ok, was dead', 'the proxy leads to node-1, before to nobody'])
    const other = statusIn(proxied(anAgent({}, { primary: 'node-2' })))
    expect(told(up, other)).toEqual(['the proxy leads to node-2, before to node-1'])
  })
})

describe('the file of the proxy', () => {
  const fileOf = ({ spec, document }: Deployment): string => {
    const place = placeProxy(spec)
    if (place === null) throw new Error('no proxy is wanted')
    return renderProxy({ spec, document: { ...document, secrets: { probe: 'of-probe' } }, place })
  }

  test('asks for the vote before it asks the engine', () => {
    const section = fileOf(proxied()).split('listen replicas')[0] ?? ''
    expect(section.indexOf('votes.sock')).toBeGreaterThan(0)
    expect(section.indexOf('votes.sock')).toBeLessThan(section.indexOf('ROLE'))
    expect(section).toContain('on-marked-down shutdown-sessions')
  })

  test('takes a vote from the controller, and without its word from most of the Sentinels', () => {
    expect(fileOf(proxied())).toContain('if { path /node-2 } { var(txn.told) -m int 0 } { nbsrv(named_node-2) ge 2 }')
    expect(fileOf(proxied())).toContain('if { path /node-2 } { var(txn.told) -m int 2 }')
  })

  test('sends readers to the primary only where that was said', () => {
    expect(fileOf(proxied())).not.toContain('backup')
    const lastResort = fileOf(proxied(anAgent(), { lastResort: 'yes' }))
    expect(lastResort).toContain('server node-1-as-primary 127.0.0.1:7001 track primary/node-1 backup')
  })
})
