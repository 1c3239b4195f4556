import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { CheckResult, CopyRead, DrillOperation, KeyRead } from '../../src/index.ts'
import { checkOperations } from '../../src/index.ts'
import { absent, asWritten, aWrite, outcomes } from '../support/drill.ts'

const check = (
  operations: readonly DrillOperation[],
  instead: Readonly<Record<string, KeyRead>> = {},
  evicted: Readonly<Record<string, number>> = {},
): CheckResult => {
  const reads = new Map(operations.map((one) => [one.key, instead[one.key] ?? asWritten(one)]))
  return checkOperations({ operations, reads, evicted })
}

describe('the checker', () => {
  const [a, b, c, d] = ['a', 'b', 'c', 'd'].map((key) => aWrite({ key })) as [
    DrillOperation,
    DrillOperation,
    DrillOperation,
    DrillOperation,
  ]

  test('finds nothing where everything is as it was written', () => {
    expect(check([a, b, c])).toEqual({
      acknowledged: 3,
      failed: 0,
      indeterminate: 0,
      indeterminateDone: 0,
      lost: [],
      evicted: [],
      unread: [],
      differing: [],
      copiesRead: 3,
      misjudged: [],
      contradictions: [],
    })
  })

  test('finds the planted lost write, the stale copy and the unread key, each for what it is', () => {
    const found = check([a, b, c, d], {
      a: absent,
      b: { ...asWritten(b), replicas: { 'node-4': 'absent', 'node-7': { value: 'older' } } },
      c: { owner: 'unread', replicas: { 'node-4': { value: c.value } } },
    })
    expect(found.lost).toEqual([{ operation: a, found: 'absent' }])
    expect(found.differing).toEqual([
      { key: 'b', node: 'node-4', at: 'absent' },
      { key: 'b', node: 'node-7', at: 'another value' },
    ])
    expect(found.unread).toEqual(['c'])
  })

  test('counts a write as lost whose key holds what somebody else wrote', () => {
    expect(check([a], { a: { owner: { value: 'not ours' }, replicas: {} } }).lost).toEqual([
      { operation: a, found: 'another value' },
    ])
  })

  test('takes a key that nobody even tried to read for unread, not for fine', () => {
    expect(checkOperations({ operations: [a], reads: new Map(), evicted: {} })).toMatchObject({
      unread: ['a'],
      lost: [],
    })
  })

  test('finds a copy that kept what its primary has lost', () => {
    const found = check([a], { a: { owner: 'absent', replicas: { 'node-4': { value: a.value } } } })
    expect(found.differing).toEqual([{ key: 'a', node: 'node-4', at: 'kept, and absent at the primary' }])
  })

  test('takes a copy that could not be read for a differing one', () => {
    const found = check([a], { a: { ...asWritten(a), replicas: { 'node-4': 'unread' } } })
    expect(found.differing).toEqual([{ key: 'a', node: 'node-4', at: 'unread' }])
    expect(found.copiesRead).toBe(0)
  })

  test('knows a write that was called failed and is there', () => {
    const failed = { ...a, outcome: 'failed' } as const
    expect(check([failed]).misjudged).toEqual([failed])
    expect(check([failed], { a: absent }).misjudged).toEqual([])
  })

  test('is content with either fate of what was undecided, and tells it', () => {
    const undecided = [a, b].map((one) => ({ ...one, outcome: 'indeterminate' }) as const)
    expect(check(undecided, { b: absent })).toMatchObject({
      indeterminate: 2,
      indeterminateDone: 1,
      lost: [],
      misjudged: [],
    })
  })

  test('says when a key has two operations, since then the record proves nothing', () => {
    expect(check([a, { ...a, outcome: 'failed' }, b]).contradictions).toEqual(['a'])
  })

  test('does not call lost what may have been evicted, but for what no eviction explains', () => {
    const instead = { a: absent, b: absent, c: absent }
    expect(check([a, b, c, d], instead, { 'shard-1': 3 })).toMatchObject({
      lost: [],
      evicted: [{ shard: 'shard-1', missing: 3, evicted: 3, lostAtLeast: 0 }],
    })
    expect(check([a, b, c, d], instead, { 'shard-1': 2 }).evicted[0]?.lostAtLeast).toBe(1)
    expect(check([a, b, c, d], instead, { 'shard-2': 9 }).lost).toHaveLength(3)
  })

  test('no eviction excuses another value', () => {
    const wrong = { a: { owner: { value: 'not ours' }, replicas: {} } }
    expect(check([a], wrong, { 'shard-1': 10 })).toMatchObject({ lost: [{ found: 'another value' }], evicted: [] })
  })
})

/** What stands at one place: the right value, another, nothing, or nobody knows. */
const aCopy = fc.constantFrom<'right' | 'wrong' | 'absent' | 'unread'>('right', 'wrong', 'absent', 'unread')
const aFate = fc.record({
  outcome: fc.constantFrom(...outcomes),
  shard: fc.constantFrom('shard-1', 'shard-2'),
  owner: aCopy,
  replicas: fc.array(aCopy, { maxLength: 2 }),
})
const copyOf = (copy: 'right' | 'wrong' | 'absent' | 'unread', value: string): CopyRead =>
  copy === 'right' ? { value } : copy === 'wrong' ? { value: 'wrong' } : copy

describe('by law', () => {
  const worlds = fc.array(aFate, { maxLength: 30 }).map((fates) => {
    const operations = fates.map(({ outcome, shard }, index) => aWrite({ key: `k${index}`, outcome, shard }))
    const reads = new Map(
      fates.map(({ owner, replicas }, index) => {
        const { key, value } = aWrite({ key: `k${index}` })
        const copies = replicas.map((copy, at) => [`node-${at}`, copyOf(copy, value)] as const)
        return [key, { owner: copyOf(owner, value), replicas: Object.fromEntries(copies) }] as const
      }),
    )
    return { fates, operations, reads }
  })

  test('it finds what the plainest reading of the fates finds', () => {
    fc.assert(
      fc.property(worlds, ({ fates, operations, reads }) => {
        const found = checkOperations({ operations, reads, evicted: {} })
        const keysWhere = (is: (fate: (typeof fates)[number]) => boolean): string[] =>
          fates.flatMap((fate, index) => (is(fate) ? [`k${index}`] : []))
        expect(found.lost.map(({ operation }) => operation.key)).toEqual(
          keysWhere(({ outcome, owner }) => outcome === 'ok' && (owner === 'absent' || owner === 'wrong')),
        )
        expect(found.unread).toEqual(keysWhere(({ outcome, owner }) => outcome === 'ok' && owner === 'unread'))
        expect(found.misjudged.map(({ key }) => key)).toEqual(
          keysWhere(({ outcome, owner }) => outcome === 'failed' && owner === 'right'),
        )
        const differences = fates.flatMap(({ owner, replicas }) => {
          return owner === 'unread' ? [] : replicas.filter((copy) => copy !== owner)
        })
        expect(found.differing).toHaveLength(differences.length)
      }),
    )
  })

  test('each acknowledged write is kept, lost or unread, and never two of them', () => {
    fc.assert(
      fc.property(worlds, ({ fates, operations, reads }) => {
        const { acknowledged, lost, unread } = checkOperations({ operations, reads, evicted: {} })
        const kept = fates.filter(({ outcome, owner }) => outcome === 'ok' && owner === 'right').length
        expect(kept + lost.length + unread.length).toBe(acknowledged)
      }),
    )
  })

  test('evictions hide no loss beyond their number', () => {
    fc.assert(
      fc.property(worlds, fc.nat(5), ({ operations, reads }, count) => {
        const all = checkOperations({ operations, reads, evicted: {} }).lost
        const { lost, evicted } = checkOperations({ operations, reads, evicted: { 'shard-1': count } })
        const atLeast = evicted.reduce((sum, one) => sum + one.lostAtLeast, 0)
        expect(lost.length + atLeast).toBeGreaterThanOrEqual(all.length - count)
      }),
    )
  })
})
