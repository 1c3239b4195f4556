import { describe, expect, test } from 'vitest'
import { isIdentified, primaryIdOf } from '../src/index.ts'
import type { Break } from './support/deployment.ts'
import {
  absent,
  aDeployment,
  agentOf,
  away,
  cameBackBlank,
  dead,
  engineIdOf,
  everyNode,
  factsOf,
  loading,
  nodeOf,
  silentFor,
  starting,
  viewsOf,
  wiped,
  withoutAgent,
  withoutRecord,
  withRecord,
} from './support/deployment.ts'

const shardOne = (...breaks: readonly Break[]) => {
  const [shard] = aDeployment()
    .with(...breaks)
    .picture().shards
  if (shard === undefined) throw new Error('there is no shard')
  return shard
}

const nodeOne = (...breaks: readonly Break[]) => {
  const [node] = aDeployment()
    .with(...breaks)
    .picture().nodes
  if (node === undefined) throw new Error('there is no node')
  return node
}

describe('a picture', () => {
  test('has the nodes and shards of the layout, in its order', () => {
    const { nodes, shards, owners, unowned } = aDeployment().picture()
    expect(nodes.map(({ id }) => id)).toEqual(['node-1', 'node-2', 'node-3', 'node-4', 'node-5', 'node-6'])
    expect(shards.map(({ id, index, nodes: members }) => [id, index, members.map((node) => node.id)])).toEqual([
      ['shard-1', 0, ['node-1', 'node-4']],
      ['shard-2', 1, ['node-2', 'node-5']],
      ['shard-3', 2, ['node-3', 'node-6']],
    ])
    expect(owners).toHaveLength(3)
    expect(unowned).toEqual([])
  })

  test('knows a node that was not looked at as not seen, and ignores one that is not ours', () => {
    const { nodes } = aDeployment()
      .with((world) => {
        nodeOf(world, 'node-6').id = 'node-66'
      })
      .picture()
    expect(nodes.map(({ id, life }) => [id, life]).at(-1)).toEqual(['node-6', 'away'])
  })

  test('takes the facts of a node only while it is alive', () => {
    expect(nodeOne().facts).not.toBeNull()
    for (const life of [loading, starting, dead, away]) expect(nodeOne(life('node-1')).facts).toBeNull()
  })
})

describe('the engine id of a node', () => {
  const said =
    (id: string): Break =>
    (world) =>
      void (factsOf(world, 'node-1').engineId = id)
  const filed =
    (id: string): Break =>
    (world) => {
      agentOf(world, 'node-1').files.claim = { engineId: id, role: 'primary', configEpoch: 1 }
    }

  test('is what it says, else what its files say, else what its record says', () => {
    const remembered = withRecord('node-1', { engineId: 'remembered' })
    expect(nodeOne(said('said'), filed('filed'), remembered).engineId).toBe('said')
    expect(nodeOne(silentFor('node-1', 100), filed('filed'), remembered).engineId).toBe('filed')
    expect(nodeOne(dead('node-1'), wiped('node-1'), remembered).engineId).toBe('remembered')
  })

  test('is not known where nothing of that is', () => {
    expect(nodeOne(dead('node-1'), wiped('node-1'), withoutRecord('node-1')).engineId).toBeNull()
    expect(nodeOne(away('node-1')).engineId).toBeNull()
  })
})

describe('the primary of a shard', () => {
  test('is who owns its slots, alive or not', () => {
    expect(shardOne().primary?.id).toBe('node-1')
    expect(shardOne(dead('node-1')).primary?.id).toBe('node-1')
    expect(shardOne(silentFor('node-1', 9000)).primary?.id).toBe('node-1')
  })

  test('is known by the others where its directory was wiped, through its record', () => {
    expect(shardOne(dead('node-1'), wiped('node-1')).primary?.id).toBe('node-1')
  })

  test('is not who only says that it is one', () => {
    const pretender: Break = (world) => void (factsOf(world, 'node-4').role = 'primary')
    expect(shardOne(pretender).primary?.id).toBe('node-1')
  })

  test('is who owns most, where a former one kept some', () => {
    const kept: Break = (world) => {
      for (const entry of viewsOf(world).flatMap(({ entries }) => entries)) {
        if (entry.engineId === engineIdOf('node-1')) entry.slots = [[0, 9]]
        if (entry.engineId === engineIdOf('node-4')) Object.assign(entry, { slots: [[10, 5460]], configEpoch: 8 })
      }
    }
    expect(shardOne(kept).primary?.id).toBe('node-4')
    expect(shardOne(kept).slots).toEqual([[0, 5460]])
  })

  test('is not known where nobody answers', () => {
    const { owners, shards } = aDeployment()
      .with(everyNode((id) => silentFor(id, 300)))
      .picture()
    expect(owners).toEqual([])
    expect(shards.map(({ primary }) => primary)).toEqual([null, null, null])
  })
})

describe('a shard was born', () => {
  test('where somebody owns its slots, or once did', () => {
    expect(shardOne().born).toBe(true)
    expect(shardOne(everyNode(absent)).born).toBe(true)
    expect(shardOne(everyNode((id) => silentFor(id, 300))).born).toBe(true)
  })

  test('not where nothing says so', () => {
    expect(shardOne(everyNode(absent), everyNode(withoutRecord)).born).toBe(false)
  })
})

describe('the ghost of a shard', () => {
  const replaced = cameBackBlank('node-1', 'e'.repeat(40))

  test('is a former identity that owns slots, and that a living node still follows', () => {
    expect(shardOne(replaced).ghost).toBe(engineIdOf('node-1'))
    expect(shardOne(replaced).primary).toBeNull()
  })

  test('is not the identity of a node that is only dead', () => {
    expect(shardOne(dead('node-1'), wiped('node-1')).ghost).toBeNull()
  })

  test('is none that nobody alive follows', () => {
    expect(shardOne(replaced, dead('node-4')).ghost).toBeNull()
  })

  test('is none while anybody is not identified: it may be that one', () => {
    expect(shardOne(replaced, away('node-2')).ghost).toBeNull()
    const nameless = [silentFor('node-2', 300), wiped('node-2'), withoutRecord('node-2')]
    expect(shardOne(replaced, ...nameless).ghost).toBeNull()
  })
})

describe('a node is identified', () => {
  test('where its engine or its agent says who it is, or that it is gone', () => {
    expect(isIdentified(nodeOne())).toBe(true)
    expect(isIdentified(nodeOne(withoutAgent('node-1')))).toBe(true)
    expect(isIdentified(nodeOne(silentFor('node-1', 300)))).toBe(true)
    expect(isIdentified(nodeOne(dead('node-1'), wiped('node-1'), withoutRecord('node-1')))).toBe(true)
  })

  test('not where nobody knows, and its process runs', () => {
    expect(isIdentified(nodeOne(away('node-1')))).toBe(false)
    expect(isIdentified(nodeOne(silentFor('node-1', 300), wiped('node-1'), withoutRecord('node-1')))).toBe(false)
  })
})

test('whom a node follows is its own word, not that of others', () => {
  const others: Break = (world) => {
    for (const view of viewsOf(world)) {
      for (const entry of view.entries) {
        if (entry.engineId === engineIdOf('node-4') && view.me !== entry.engineId) entry.follows = engineIdOf('node-2')
      }
    }
  }
  const [, , , node] = aDeployment().with(others).picture().nodes
  expect(node === undefined ? null : primaryIdOf(node)).toBe(engineIdOf('node-1'))
})
