import type { HoldfastEvent } from '@holdfast/core'
import { expect, test } from 'vitest'
import { aStatus, aStatusAfterDeath } from '../../control/test/server/demo-status.ts'
import { anEvent } from '../../control/test/server/memory-platform.ts'
import { movesOf, primariesAsText, wayOf } from '../src/key-way.ts'

const told = (...sentences: string[]): HoldfastEvent[] =>
  sentences.map((because, seq) => ({ ...anEvent({ kind: 'shard', because, at: 1000 * seq }), seq }))

test('the way of a key ends at the node that serves its slot now', () => {
  const key = 'shop:product:7'
  expect(wayOf(key, aStatus())).toMatchObject({ slot: 971, shard: 'shard-1', node: { id: 'node-1' } })
  expect(wayOf('shop:cart:{v4}', aStatusAfterDeath('')).slot).toBe(wayOf('v4', undefined).slot)
  const slotOfShard2 = wayOf('shop:product:1', aStatusAfterDeath('node-2 died'))
  expect(slotOfShard2).toMatchObject({ shard: 'shard-2', node: { id: 'node-5' } })
})

test('a slot of nobody and a deployment that nobody saw end the way early', () => {
  const status = aStatus()
  const shards = status.shards.map((shard) => ({ ...shard, primary: null }))
  expect(wayOf('shop:product:7', { ...status, shards })).toMatchObject({ shard: 'shard-1', node: null })
  expect(wayOf('shop:product:7', undefined)).toMatchObject({ slot: 971, shard: null, node: null })
})

test('moves are read from the log, and nobody in between is not a stop', () => {
  const events = told(
    'node-1 is primary of shard-1, was nobody',
    'node-4 is primary of shard-1, was nobody',
    'node-1 is primary of shard-1, was node-4',
    'node-5 is primary of shard-2, was nobody',
  )
  expect(movesOf(events)).toEqual([
    { at: 1000, shard: 'shard-1', from: 'node-1', to: 'node-4' },
    { at: 2000, shard: 'shard-1', from: 'node-4', to: 'node-1' },
  ])
})

test('where the log begins later than the shard, the first look says who was before', () => {
  const events = told('node-6 is primary of shard-3, was nobody', 'node-5 is primary of shard-2, was nobody')
  expect(movesOf(events, aStatus({ observedAt: 500 }))).toEqual([
    { at: 1000, shard: 'shard-2', from: 'node-2', to: 'node-5' },
  ])
})

test('who dies and comes back in his place moved nothing, and other events are no moves', () => {
  const events = told('node-1 is primary of shard-1, was nobody', 'node-1 is primary of shard-1, was nobody')
  expect(movesOf(events)).toEqual([])
  const others = told('node-1 is primary of shard-1, was node-4').map((event) => ({ ...event, kind: 'turn' as const }))
  expect(movesOf(others)).toEqual([])
})

test('a shard without a primary does not count as a move yet', () => {
  const status = aStatus()
  const without = { ...status, shards: status.shards.slice(0, 2) }
  const dying = { ...status, shards: status.shards.map((s) => (s.id === 'shard-3' ? { ...s, primary: null } : s)) }
  expect(primariesAsText(dying)).toBe(primariesAsText(without))
  expect(primariesAsText(aStatusAfterDeath(''))).not.toBe(primariesAsText(status))
})
