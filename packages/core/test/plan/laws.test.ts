/* What holds of every plan, whatever was seen. A failing world prints its seed and path. */
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Action, ActionKind, NodePicture, Picture, ShardPicture } from '../../src/index.ts'
import { isGone, primaryIdOf } from '../../src/index.ts'
import type { Deployment } from '../support/deployment.ts'
import { aDeployment } from '../support/deployment.ts'
import { brokenDeployments } from '../support/random-world.ts'

const runs = { numRuns: 300 }

const always = (law: (deployment: Deployment, actions: readonly Action[], picture: Picture) => void): void =>
  fc.assert(
    fc.property(brokenDeployments, (deployment) => {
      law(deployment, deployment.plan().actions, deployment.picture())
    }),
    runs,
  )

const ofKind = <K extends ActionKind>(actions: readonly Action[], kind: K): Extract<Action, { kind: K }>[] =>
  actions.filter((action): action is Extract<Action, { kind: K }> => action.kind === kind)

function nodeIn(picture: Picture, id: string): NodePicture {
  const node = picture.nodes.find((one) => one.id === id)
  if (node === undefined) throw new Error(`the plan names ${id}, which is not ours`)
  return node
}

function shardOf(picture: Picture, id: string): ShardPicture {
  const shard = picture.shards.find(({ nodes }) => nodes.some((node) => node.id === id))
  if (shard === undefined) throw new Error(`the plan names ${id}, which is not ours`)
  return shard
}

const promotionsIn = (actions: readonly Action[]) =>
  ofKind(actions, 'failover').filter(({ mode }) => mode !== 'switchover')

describe('a healthy deployment', () => {
  const healthy = fc
    .record({ shards: fc.integer({ min: 3, max: 7 }), replicas: fc.nat(3), swap: fc.nat(6) })
    .map(({ shards, replicas, swap }) => {
      const primaries = replicas > 0 && swap < shards ? { [`shard-${swap + 1}`]: `node-${shards + swap + 1}` } : {}
      return aDeployment({ shards, replicas, primaries })
    })

  test('has nothing to do, and is ready', () => {
    fc.assert(
      fc.property(healthy, (deployment) => {
        expect(deployment.plan()).toMatchObject({ actions: [], notes: [], lookAgainMs: null })
        expect(deployment.plan().because).toMatch(/^\d shards, \d+ of \d+ nodes in sync$/)
      }),
    )
  })
})

describe('planning', () => {
  test('says the same of the same', () => {
    fc.assert(
      fc.property(brokenDeployments, (deployment) => {
        expect(deployment.with().plan()).toEqual(deployment.plan())
      }),
      runs,
    )
  })

  test('does not depend on the order in which nodes were seen', () => {
    fc.assert(
      fc.property(
        brokenDeployments.chain((deployment) =>
          fc.tuple(fc.constant(deployment), shuffled([...deployment.observed.nodes.keys()])),
        ),
        ([deployment, order]) => {
          const other = deployment.with((world) => {
            const { nodes } = world.observed
            world.observed.nodes = order.flatMap((index) => nodes[index] ?? [])
          })
          expect(other.plan()).toEqual(deployment.plan())
        },
      ),
      runs,
    )
  })

  test('always says why, and names its times', () => {
    always((deployment) => {
      const { because, notes, lookAgainMs } = deployment.plan()
      for (const sentence of [because, ...notes.map((note) => note.because)]) {
        expect(sentence).not.toBe('')
        expect(sentence).not.toMatch(/NaN|Infinity|undefined|null|e\+/)
      }
      if (lookAgainMs !== null) expect(lookAgainMs).toBeGreaterThanOrEqual(0)
    })
  })

  test('never names a node that is not ours', () => {
    always((_, actions, picture) => {
      for (const action of actions) nodeIn(picture, action.node)
    })
  })
})

describe('never two risks at once', () => {
  test('fences, stops and hand-overs of one turn touch one shard', () => {
    always((_, actions, picture) => {
      const risks = actions.filter(
        (action) =>
          action.kind === 'fence' ||
          action.kind === 'stop' ||
          (action.kind === 'failover' && action.mode === 'switchover'),
      )
      expect(new Set(risks.map(({ node }) => shardOf(picture, node).id)).size).toBeLessThanOrEqual(1)
    })
  })

  test('one failover in a turn, of whatever mode', () => {
    always((_, actions) => {
      expect(ofKind(actions, 'failover').length).toBeLessThanOrEqual(1)
    })
  })

  test('no two things are done to one slot, and none twice to one node', () => {
    always((_, actions) => {
      const slots = actions.flatMap((action) => ('slot' in action ? [action.slot] : []))
      expect(slots.length).toBe(new Set(slots).size)
      const once = actions.filter(({ kind }) => kind !== 'finish-move' && kind !== 'close-slot')
      expect(once.length).toBe(new Set(once.map(({ kind, node }) => `${kind} ${node}`)).size)
    })
  })
})

describe('nothing but death is a ground for a promotion', () => {
  test('who is promoted follows an identity that is proven gone', () => {
    always((_, actions, picture) => {
      for (const { node } of promotionsIn(actions)) {
        const heir = nodeIn(picture, node)
        expect(heir.facts?.role).toBe('replica')
        const followed = primaryIdOf(heir)
        const primary = picture.nodes.find(({ engineId }) => engineId === followed)
        if (primary !== undefined) expect(isGone(primary.life)).toBe(true)
        // Its identity is gone with its directory: then everybody else must be known by name.
        else expect(picture.nodes.every(({ facts, agent }) => facts !== null || agent !== null)).toBe(true)
      }
    })
  })

  test('a promotion stays within its shard', () => {
    always((_, actions, picture) => {
      for (const { node } of promotionsIn(actions)) {
        const { primary, ghost, nodes } = shardOf(picture, node)
        const followed = primaryIdOf(nodeIn(picture, node))
        expect(ghost ?? primary?.engineId).toBe(followed)
        expect(nodes.map(({ id }) => id)).toContain(node)
      }
    })
  })

  test('while one was asked and lives, no sibling is asked', () => {
    always((_, actions, picture) => {
      for (const { node } of promotionsIn(actions)) {
        const shard = shardOf(picture, node)
        const lastSeen = shard.primary?.agent?.record?.at ?? picture.at
        const asked = shard.nodes.filter(
          (sibling) =>
            sibling.id !== node &&
            sibling !== shard.primary &&
            !sibling.gone &&
            sibling.agent?.failoverAsked != null &&
            sibling.agent.failoverAsked.mode !== 'switchover' &&
            sibling.agent.failoverAsked.at >= lastSeen &&
            primaryIdOf(sibling) === primaryIdOf(nodeIn(picture, node)),
        )
        const own = nodeIn(picture, node).agent?.failoverAsked?.at ?? Number.NEGATIVE_INFINITY
        expect(asked.filter(({ agent }) => (agent?.failoverAsked?.at ?? 0) > own).map(({ id }) => id)).toEqual([])
      }
    })
  })
})

describe('only a frozen engine is killed', () => {
  test('and exactly that process', () => {
    always((_, actions, picture) => {
      for (const { node, pid, startTime } of ofKind(actions, 'fence')) {
        const { life, agent } = nodeIn(picture, node)
        expect(life).toBe('frozen')
        expect(agent?.process).toMatchObject({ state: 'running', pid, startTime })
      }
    })
  })
})

describe('what is started', () => {
  test('is proven not to run, and its directory is free', () => {
    always((_, actions, picture) => {
      for (const { node } of ofKind(actions, 'start')) {
        const { life, agent } = nodeIn(picture, node)
        expect(isGone(life)).toBe(true)
        if (agent?.process.state === 'dead') expect(agent.process.lingering).toBe(false)
      }
    })
  })

  test('has a copy, or a primary to copy from, or its loss is said', () => {
    always((deployment, actions, picture) => {
      const { notes } = deployment.plan()
      for (const { node: id } of ofKind(actions, 'start')) {
        const node = nodeIn(picture, id)
        const shard = shardOf(picture, id)
        const { persistence } = deployment.spec
        const files = node.agent?.files
        // A log counts whatever the spec says: it is there because the log was not ended yet.
        const hasCopy = files?.aof || (persistence !== 'none' && files?.rdb)
        const mayHaveData = shard.born || deployment.document.settledRevision > 0
        const hasPrimary = shard.primary !== null && shard.primary !== node && shard.primary.life === 'alive'
        const claimsSlots = files?.claim?.role === 'primary'
        const isSaid = notes.some(({ kind, subject }) => kind === 'loss' && subject === shard.id)
        if (!mayHaveData || hasCopy === true || hasPrimary || isSaid) continue
        // What holds nothing and claims nothing owns nothing.
        expect(claimsSlots).toBe(false)
      }
    })
  })

  test('is no primary while its promotion is asked for', () => {
    always((_, actions, picture) => {
      for (const { node } of ofKind(actions, 'start')) {
        const shard = shardOf(picture, node)
        if (shard.primary?.id !== node) continue
        const lastSeen = shard.primary.agent?.record?.at
        if (lastSeen === undefined) continue
        const asked = shard.nodes.filter(
          (other) =>
            other.id !== node &&
            !other.gone &&
            other.agent?.failoverAsked != null &&
            other.agent.failoverAsked.mode !== 'switchover' &&
            other.agent.failoverAsked.at >= lastSeen &&
            (other.facts === null || primaryIdOf(other) === shard.primary?.engineId),
        )
        expect(asked.map(({ id }) => id)).toEqual([])
      }
    })
  })

  test('of a shard that is all down, is one', () => {
    always((deployment, actions, picture) => {
      for (const shard of picture.shards) {
        const mayHaveData = shard.born || deployment.document.settledRevision > 0
        if (!mayHaveData || !shard.nodes.every(({ gone }) => gone)) continue
        const started = ofKind(actions, 'start').filter(({ node }) => shard.nodes.some(({ id }) => id === node))
        expect(started.length).toBeLessThanOrEqual(1)
      }
    })
  })
})

describe('slots', () => {
  test('are given out as new only to a shard that never had any, by all that is known of it', () => {
    always((deployment, actions, picture) => {
      for (const { node, epoch } of ofKind(actions, 'give-slots')) {
        const shard = shardOf(picture, node)
        const allSeen = picture.nodes.every(({ facts }) => facts !== null)
        if (allSeen) continue
        expect(shard.born).toBe(false)
        expect(deployment.document.settledRevision).toBe(0)
        expect(shard.nodes.every(({ agent }) => agent !== null)).toBe(true)
        if (epoch !== null) expect(nodeIn(picture, node).facts?.view.entries).toHaveLength(1)
      }
    })
  })

  test('are given to nobody while somebody owns them', () => {
    always((_, actions, picture) => {
      const given = ofKind(actions, 'give-slots').flatMap(({ slots }) => slots)
      for (const [from, to] of given) {
        const owner = picture.owners.find(({ slots }) => slots.some(([a, b]) => a <= to && from <= b))
        expect(owner).toBeUndefined()
      }
    })
  })

  test('are moved only from who owns them, to a primary of ours', () => {
    always((_, actions, picture) => {
      for (const { node, slot, targetId } of ofKind(actions, 'finish-move')) {
        const owner = picture.owners.find(({ slots }) => slots.some(([a, b]) => a <= slot && slot <= b))
        expect(owner?.engineId).toBe(nodeIn(picture, node).engineId)
        expect(targetId).not.toBe(owner?.engineId)
        expect(picture.nodes.map(({ engineId }) => engineId)).toContain(targetId)
      }
    })
  })
})

describe('who follows whom', () => {
  test('nobody is sent to anybody but the primary of its shard, and nobody who owns slots', () => {
    always((_, actions, picture) => {
      for (const { node, primary } of ofKind(actions, 'follow')) {
        const { primary: owner } = shardOf(picture, node)
        const { facts, engineId } = nodeIn(picture, node)
        expect(owner?.engineId).toBe(primary)
        // Back to a dead one goes only who still has its history, to take over from it.
        if (owner?.gone === true) expect(facts?.replid).toBe(owner.agent?.record?.replid)
        else expect(owner?.facts?.role).toBe('primary')
        expect(picture.owners.map((claim) => claim.engineId)).not.toContain(engineId)
      }
    })
  })

  test('no identity of ours is forgotten', () => {
    always((_, actions, picture) => {
      const ours = picture.nodes.map(({ engineId }) => engineId)
      for (const { engineIds } of ofKind(actions, 'forget')) {
        for (const id of engineIds) expect(ours).not.toContain(id)
        expect(picture.nodes.every(({ facts, agent }) => facts !== null || agent !== null)).toBe(true)
      }
    })
  })
})

describe('a deployment that shall be down', () => {
  const down = brokenDeployments.map((deployment) =>
    deployment.with((world) => {
      world.document.wanted = 'down'
      world.document.purge = true
    }),
  )

  test('is only stopped, killed where it is frozen, and purged when nothing is left that runs', () => {
    fc.assert(
      fc.property(down, (deployment) => {
        const { actions } = deployment.plan()
        const picture = deployment.picture()
        expect(['stop', 'fence', 'purge']).toEqual(expect.arrayContaining(actions.map(({ kind }) => kind)))
        if (ofKind(actions, 'purge').length === 0) return
        for (const { gone, agent } of picture.nodes) {
          expect(gone).toBe(true)
          if (agent?.process.state === 'dead') expect(agent.process.lingering).toBe(false)
        }
      }),
      runs,
    )
  })
})

const shuffled = <T>(some: readonly T[]): fc.Arbitrary<T[]> =>
  fc.shuffledSubarray([...some], { minLength: some.length, maxLength: some.length })
