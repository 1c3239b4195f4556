import { describe, expect, test } from 'vitest'
import type { Operation, SentinelWatch } from '../../src/index.ts'
import { judgeReadiness, parseSpec, planTurn, readConfigText } from '../../src/index.ts'
import type { Break, Draft } from '../support/deployment.ts'
import {
  absent,
  agentOf,
  dead,
  everyNode,
  factsOf,
  filesOf,
  lastLook,
  linkDown,
  now,
  offset,
  silentFor,
  withRecord,
} from '../support/deployment.ts'
import { agentOfSentinel, deadSentinel, runIdOf, sees, sentinelOf, watched } from '../support/watched.ts'

const kinds = (actions: readonly { readonly kind: string; readonly node: string }[]): string[] =>
  actions.map(({ kind, node }) => `${kind} ${node}`)

const primaryPort = 7001
const portOf = (node: string): number => primaryPort + Number(node.replace('node-', '')) - 1

const replicaSeen = (watch: Draft<SentinelWatch>, node: string) => {
  const found = watch.replicas.find(({ port }) => port === portOf(node))
  if (found === undefined) throw new Error(`it does not know ${node}`)
  return found
}

/** It was promoted in place of node-1, as it says itself. */
const promoted =
  (id: string): Break =>
  (world) => {
    const facts = factsOf(world, id)
    facts.role = 'primary'
    facts.link = null
    facts.replidBefore = facts.replid
    facts.replid = 'f'.repeat(40)
  }

const named = (id: string, by = 'all'): Break =>
  sees(by, (watch) => {
    watch.primary.port = portOf(id)
    watch.configEpoch = 4
  })

describe('Sentinels that agree', () => {
  test('are ready, and say on whom', () => {
    const plan = watched().plan()
    expect(plan).toMatchObject({
      actions: [],
      because: '3 of 3 nodes in sync, 3 Sentinels agree on node-1',
    })
  })

  test.each<[string, Break, RegExp]>([
    ['one that names another primary', named('node-2', 'sentinel-1'), /^sentinel-1 names 127\.0\.0\.1:7002/],
    ['one that knows too few', sees('sentinel-2', (watch) => watch.peers.pop()), /^sentinel-2 knows 1 of 2 other/],
    ['one without a quorum', sees('sentinel-3', (watch) => (watch.quorumOk = false)), /^sentinel-3 sees no quorum/],
    ['one that is gone', deadSentinel('sentinel-1'), /^sentinel-1 is dead/],
  ])('not ready: %s', (_, change, because) => {
    const { ready, because: told } = judgeReadiness(watched().with(change).picture())
    expect(ready).toBe('no')
    expect(told).toMatch(because)
  })
})

describe('a dead primary', () => {
  test('one Sentinel is asked, and no other', () => {
    const plan = watched().with(dead('node-1')).plan()
    expect(kinds(plan.actions)).toEqual(['ask-sentinel sentinel-1'])
    expect(plan.because).toBe(
      'node-1 (primary of shard-1) is dead, node-2 is in sync: asking sentinel-1 to promote it or node-3',
    )
  })

  test('nobody is asked while one was just asked, or fails over by itself', () => {
    const asked: Break = (world) => {
      agentOfSentinel(world, 'sentinel-2').failoverAsked = { at: now - 300, mode: 'force' }
    }
    const itself = sees('sentinel-3', (watch) => watch.flags.push('failover_in_progress'))
    for (const change of [asked, itself]) {
      expect(watched().with(dead('node-1'), change).plan()).toMatchObject({ actions: [] })
    }
  })

  test('nothing is done on mere silence', () => {
    expect(watched().with(silentFor('node-1', 1500)).plan().actions).toEqual([])
  })

  test('a frozen one is killed first', () => {
    expect(
      kinds(
        watched()
          .with(silentFor('node-1', 3000, 'stopped'))
          .plan().actions,
      ),
    ).toEqual(['fence node-1'])
  })

  test('the Sentinel that would choose the best copy is the one to ask', () => {
    const behind = sees('sentinel-1', (watch) => {
      replicaSeen(watch, 'node-3').offset = offset + 10
    })
    expect(kinds(watched().with(behind, dead('node-1')).plan().actions)).toEqual(['ask-sentinel sentinel-2'])
  })

  test('of several that would choose alike, the one to ask is the one that will notice first', () => {
    const lookedAgo = (id: string, ms: number): Break =>
      sees(id, (watch) => {
        for (const replica of watch.replicas) replica.infoAgeMs = ms
      })
    // The first looks in 900 ms, the second in 400; the third in 50, which is before the promotion, and then in 1050.
    const ages = [lookedAgo('sentinel-1', 100), lookedAgo('sentinel-2', 600), lookedAgo('sentinel-3', 950)]
    expect(
      kinds(
        watched()
          .with(...ages, dead('node-1'))
          .plan().actions,
      ),
    ).toEqual(['ask-sentinel sentinel-2'])
  })

  test('a replica that must not take over is made unfit where a Sentinel would choose it', () => {
    const cut: Break = (world) => {
      agentOf(world, 'node-2').record = {
        ...(agentOf(world, 'node-2').record as NonNullable<ReturnType<typeof agentOf>['record']>),
        link: 'down',
        linkUpAt: lastLook - 20_000,
        linkDownSince: lastLook - 20_000,
      }
    }
    const preferred = sees('all', (watch) => {
      replicaSeen(watch, 'node-2').runId = 'aaa'
      replicaSeen(watch, 'node-3').runId = runIdOf('zzz')
    })
    const plan = watched().with(preferred, cut, dead('node-1')).plan()
    expect(plan.actions).toEqual([{ kind: 'set-priority', node: 'node-2', priority: 0 }])
    const heard = sees('all', (watch) => {
      replicaSeen(watch, 'node-2').priority = 0
    })
    const next = watched().with(preferred, cut, heard, dead('node-1')).plan()
    expect(kinds(next.actions)).toEqual(['ask-sentinel sentinel-1'])
    expect(next.because).toContain('node-3 is in sync')
  })

  test('once another one continues its history the dead one comes back as its replica', () => {
    const plan = watched().with(dead('node-1'), promoted('node-2'), named('node-2')).plan()
    expect(plan.actions).toMatchObject([
      { kind: 'start', node: 'node-1', follow: { address: '127.0.0.1', port: 7002 }, unclustered: true },
    ])
  })

  test('the promoted one is primary as soon as it says so, before any Sentinel does', () => {
    const { shards } = watched().with(dead('node-1'), promoted('node-2')).picture()
    expect(shards[0]?.primary?.id).toBe('node-2')
  })

  test('the others follow the promoted one at once where they go on with the same history', () => {
    const failingOver = sees('sentinel-1', (watch) => watch.flags.push('failover_in_progress'))
    const { actions } = watched().with(dead('node-1'), promoted('node-2'), failingOver).plan()
    expect(actions).toEqual([{ kind: 'replicate', node: 'node-3', primary: { address: '127.0.0.1', port: 7002 } }])
  })

  test('one with another history is left to the Sentinels, which sync one after the other', () => {
    const failingOver = sees('sentinel-1', (watch) => watch.flags.push('failover_in_progress'))
    const foreign: Break = (world) => (factsOf(world, 'node-3').replid = 'e'.repeat(40))
    const { actions, because } = watched().with(dead('node-1'), promoted('node-2'), failingOver, foreign).plan()
    expect(actions).toEqual([])
    expect(because).toContain('node-3 does not follow node-2 yet: leaving it to the Sentinels until they agree')
  })

  test('one that somebody started again is no primary, if most Sentinels name another', () => {
    const both = watched().with(promoted('node-2'), named('node-2'))
    expect(both.picture().shards[0]?.primary?.id).toBe('node-2')
    expect(both.plan().actions).toContainEqual({
      kind: 'replicate',
      node: 'node-1',
      primary: { address: '127.0.0.1', port: 7002 },
    })
  })
})

describe('an engine that somebody else has started', () => {
  const strayed: Break = (world) => {
    const facts = factsOf(world, 'node-1')
    facts.role = 'replica'
    facts.replid = 'e'.repeat(40)
    facts.link = { ...(factsOf(world, 'node-2').link as NonNullable<typeof facts.link>), state: 'down' }
    facts.link.primaryPort = primaryPort
  }

  test('follows itself, and is ended before anything else is done', () => {
    const { actions, because } = watched().with(strayed).plan()
    expect(kinds(actions)).toEqual(['fence node-1'])
    expect(because).toBe(
      'node-1 follows itself, so somebody else has started it: ending it before it is taken for the primary',
    )
  })

  test('one that follows another is as it should be', () => {
    expect(watched().plan().actions).toEqual([])
  })

  test('a file that the engine has written anew is put back, which is no drift', () => {
    const rewritten: Break = (world) => {
      const agent = agentOf(world, 'node-1')
      agent.given = readConfigText(filesOf('node-1').config)
      agent.written = { ...agent.given, replicaof: '127.0.0.1 7002' }
    }
    const { actions, notes, because } = watched().with(rewritten).plan()
    expect(actions).toMatchObject([{ kind: 'configure', node: 'node-1', set: {} }])
    expect(notes).toEqual([])
    expect(because).toBe('node-1: the file shall make no primary of whoever else starts it')
  })
})

describe('starting', () => {
  test('a new deployment: the first node alone is no replica', () => {
    const fresh = watched({ document: { settledRevision: 0 } }).with(
      everyNode(absent),
      everyNode((id) => (world) => {
        agentOf(world, id).record = null
      }),
    )
    const starts = fresh.plan().actions.filter((action) => action.kind === 'start')
    expect(starts.map((start) => [start.node, start.follow?.port ?? null])).toEqual([
      ['node-1', null],
      ['node-2', primaryPort],
      ['node-3', primaryPort],
    ])
  })

  test('all stopped: whom the Sentinels name starts alone, and the others wait for it', () => {
    const stale = withRecord('node-1', { role: 'primary', at: lastLook - 60_000 })
    const last = withRecord('node-3', { role: 'primary', at: lastLook })
    const plan = watched().with(stale, last, named('node-3'), everyNode(absent)).plan()
    expect(plan.actions).toMatchObject([{ kind: 'start', node: 'node-3' }])
    expect(plan.actions).toHaveLength(1)
    expect(plan.actions[0]).not.toHaveProperty('follow')
  })

  test('without a word of Sentinels it is the one that was primary last', () => {
    const stale = withRecord('node-1', { role: 'primary', at: lastLook - 60_000 })
    const last = withRecord('node-3', { role: 'primary', at: lastLook })
    const sentinels = ['sentinel-1', 'sentinel-2', 'sentinel-3'].map(deadSentinel)
    const plan = watched()
      .with(stale, last, ...sentinels, everyNode(absent))
      .plan()
    expect(kinds(plan.actions)).toEqual(['start node-3'])
  })

  test('a Sentinel is started again', () => {
    const input = watched().with(deadSentinel('sentinel-2')).input()
    const files = new Map([...input.files, ['sentinel-2', filesOf('sentinel-2')] as const])
    expect(planTurn({ ...input, files }).actions).toMatchObject([
      { kind: 'start', node: 'sentinel-2', unclustered: true },
    ])
  })
})

describe('disagreement', () => {
  const wrong = (ids: readonly string[], sinceMs: number): Break[] =>
    ids.map((id) =>
      sees(id, (watch) => {
        watch.primary.port = portOf('node-2')
        watch.roleReported = 'replica'
        watch.roleReportedMs = sinceMs
      }),
    )

  test('is given time', () => {
    expect(
      watched()
        .with(...wrong(['sentinel-1'], 3000))
        .plan().actions,
    ).toEqual([])
  })

  test('then those that are wrong stop watching, all at once, and begin anew', () => {
    const most = ['sentinel-1', 'sentinel-2']
    expect(
      kinds(
        watched()
          .with(...wrong(most, 30_000))
          .plan().actions,
      ),
    ).toEqual(['unwatch sentinel-1', 'unwatch sentinel-2'])
    const blind: Break = (world) => {
      const { engine } = sentinelOf(world, 'sentinel-1')
      if (engine.kind === 'answered') engine.facts.watch = null
    }
    expect(watched().with(blind).plan().actions).toMatchObject([
      {
        kind: 'watch',
        node: 'sentinel-1',
        primary: { address: '127.0.0.1', port: primaryPort },
        settings: { quorum: '2', 'auth-user': 'sentinel', 'auth-pass': 'of-sentinels' },
      },
    ])
  })

  test('settings that are not those of the spec are set back, and said', () => {
    const drifted = sees('sentinel-3', (watch) => {
      watch.settings['quorum'] = '1'
    })
    expect(watched().with(drifted).plan()).toMatchObject({
      actions: [{ kind: 'set-sentinel', node: 'sentinel-3', settings: { quorum: '2' } }],
      notes: [{ kind: 'drift', subject: 'sentinel-3', because: 'sentinel-3: quorum is "1", not "2"' }],
    })
  })
})

describe('strangers', () => {
  const stranger = sees('all', (watch) =>
    watch.peers.push({ address: '127.0.0.1', port: 9, sentinelId: 'gone', flags: ['sentinel', 's_down'] }),
  )

  test('are forgotten by one Sentinel, and by the next half a minute later', () => {
    expect(kinds(watched().with(stranger).plan().actions)).toEqual(['reset-sentinel sentinel-1'])
    const justDone: Break = (world) => {
      agentOfSentinel(world, 'sentinel-1').resetAt = now - 10_000
      sees('sentinel-1', (watch) => watch.peers.pop())(world)
    }
    expect(watched().with(stranger, justDone).plan()).toMatchObject({
      actions: [],
      because: expect.stringContaining('forgotten in 20 s'),
    })
  })

  test('never while a primary is held for down', () => {
    const down = sees('sentinel-3', (watch) => watch.flags.push('s_down', 'o_down'))
    expect(watched().with(stranger, down).plan().actions).toEqual([])
  })
})

describe('priorities', () => {
  test('a replica that is cut off for long is kept from being chosen, and given back', () => {
    const cut = [linkDown('node-2', 8), withRecord('node-2', { link: 'down', linkDownSince: now - 8000 })]
    expect(
      watched()
        .with(...cut)
        .plan().actions,
    ).toEqual([{ kind: 'set-priority', node: 'node-2', priority: 0 }])
    const back: Break = (world) => {
      const { link } = factsOf(world, 'node-2')
      if (link !== null) link.priority = 0
    }
    expect(watched().with(back).plan().actions).toEqual([{ kind: 'set-priority', node: 'node-2', priority: 100 }])
  })

  test('a short cut, as of a restart, is nothing', () => {
    const cut = [linkDown('node-2', 1), withRecord('node-2', { link: 'down', linkDownSince: now - 500 })]
    expect(
      watched()
        .with(...cut)
        .plan().actions,
    ).toEqual([])
  })
})

describe('a switchover', () => {
  const switchover: Operation = {
    id: 'one',
    kind: 'switchover',
    subject: 'shard-1',
    requestedBy: 'ada',
    requestedAt: 0,
    notBefore: null,
    named: true,
    expiresAt: 9e15,
    state: 'running',
    because: '',
    beganAt: 0,
    endedAt: null,
    to: 'node-2',
    from: 'node-1',
    tries: 0,
  }
  const looked = (infoAgeMs: number): Break =>
    sees('all', (watch) => {
      replicaSeen(watch, 'node-2').infoAgeMs = infoAgeMs
    })
  const asked = watched({ document: { operations: [switchover] } }).with(looked(700))

  test.each([
    [100, 550],
    [950, 700],
    [3000, 7650],
    [9900, 750],
  ])('waits for the moment right before a look of the Sentinel: %d ms after the last, %d ms', (ageMs, waitMs) => {
    const { actions, operations, because, lookAgainMs } = asked.with(looked(ageMs)).plan()
    expect(actions).toEqual([])
    expect(operations ?? []).toEqual([])
    expect(because).toBe('sentinel-1 looks at node-2 again soon: handing over so that it sees the change at once')
    expect(lookAgainMs).toBe(waitMs)
  })

  test('does not wait for a Sentinel that looks less often than it should', () => {
    expect(asked.with(looked(12_000)).plan().actions).toHaveLength(1)
  })

  test('goes through the Sentinel that would choose the heir', () => {
    expect(asked.plan().actions).toEqual([
      {
        kind: 'failover',
        node: 'node-2',
        mode: 'switchover',
        through: {
          name: 'shop',
          from: { address: '127.0.0.1', port: 7001 },
          to: { address: '127.0.0.1', port: 7002 },
          sentinel: { address: '127.0.0.1', port: 7004 },
          others: [
            { address: '127.0.0.1', port: 7005 },
            { address: '127.0.0.1', port: 7006 },
          ],
        },
      },
    ])
  })

  test('where none would, it is made the only choice first, which is no attempt', () => {
    const other = sees('all', (watch) => {
      replicaSeen(watch, 'node-3').runId = 'aaa'
    })
    const plan = asked.with(other).plan()
    expect(plan.actions).toEqual([{ kind: 'set-priority', node: 'node-3', priority: 0 }])
    expect(plan.operations ?? []).toEqual([])
  })
})

describe('down', () => {
  test('Sentinels first: to them the others would look dead', () => {
    const down = watched({ document: { wanted: 'down' } })
    expect(kinds(down.plan().actions)).toEqual(['stop sentinel-1', 'stop sentinel-2', 'stop sentinel-3'])
    const next = down.with(...['sentinel-1', 'sentinel-2', 'sentinel-3'].map(deadSentinel))
    expect(kinds(next.plan().actions)).toEqual(['stop node-2', 'stop node-3'])
  })
})

describe('the spec', () => {
  const spec = (fields: object) => () => parseSpec({ name: 'shop', topology: 'sentinel', ...fields })

  test.each<[object, RegExp]>([
    [{ sentinel: { count: 2 } }, /sentinel\.count: an odd number from 3 on/],
    [{ sentinel: { count: 4 } }, /so that a majority is left/],
    [{ sentinel: { count: 3, quorum: 4 } }, /can never agree/],
    [{ replicasPerShard: 0 }, /at least one replica/],
    [{ shards: 2 }, /one primary, not 2/],
  ])('%j is refused with its reason', (fields, because) => {
    expect(spec(fields)).toThrow(because)
  })

  test('`sentinel` says nothing to a Cluster', () => {
    expect(() => parseSpec({ name: 'shop', sentinel: { count: 3 } })).toThrow(/not supported/)
  })
})
