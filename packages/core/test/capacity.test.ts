import { describe, expect, test } from 'vitest'
import type { HostLoad, NodePlace } from '../src/index.ts'
import { layOut, parseSpec, roomsFor, shortOfCores } from '../src/index.ts'

const mb = 1024 ** 2
const gb = 1024 ** 3
const hosts = ['a', 'b', 'c'].map((name, index) => ({ name, address: `10.0.0.${index + 1}`, zone: `z${index + 1}` }))
const spec = parseSpec({ name: 'shop', hosts, memory: { maxPerNode: '256mb' } })

const load = (host: string, memoryBytes: number | null, more: Partial<HostLoad> = {}): HostLoad => ({
  host,
  isHere: true,
  facts: { cores: 2, memoryBytes, limits: { memoryBytes: null, cores: null } },
  carried: [],
  ...more,
})

const freeOn = (one: HostLoad): number | undefined => roomsFor(spec, [one]).find(({ host }) => host === one.host)?.free

describe('how many engines fit on a host', () => {
  test('what it has, less the system and a snapshot, by what one engine takes', () => {
    // 2048 - 128 - 128 = 1792, by 336 each.
    expect(freeOn(load('a', 2 * gb))).toBe(5)
  })

  test('what other deployments have there counts, and the largest of all may be saved', () => {
    // 2048 - 128 - 256 - 592 = 1072.
    expect(freeOn(load('a', 2 * gb, { carried: [512 * mb] }))).toBe(3)
    expect(freeOn(load('a', 2 * gb, { carried: [gb, 512 * mb] }))).toBe(0)
  })

  test('a control group that allows less is what counts', () => {
    const facts = { cores: 2, memoryBytes: 64 * gb, limits: { memoryBytes: gb, cores: null } }
    expect(freeOn(load('a', 0, { facts }))).toBe(2)
  })

  test('where nothing is known of it, as many as anybody wants', () => {
    expect(freeOn(load('a', null))).toBe(Number.POSITIVE_INFINITY)
    expect(freeOn(load('a', 0, { facts: null }))).toBe(Number.POSITIVE_INFINITY)
  })

  test('none on one that does not answer', () => {
    expect(freeOn(load('a', 64 * gb, { isHere: false }))).toBe(0)
  })
})

describe('a layout', () => {
  const on = (nodes: readonly NodePlace[], name: string): number => nodes.filter(({ host }) => host === name).length

  test('puts no more on a host than fits there', () => {
    const nodes = layOut(spec, roomsFor(spec, [load('a', 700 * mb), load('b', 8 * gb), load('c', 8 * gb)]))
    expect(on(nodes, 'a')).toBe(1)
    expect(nodes).toHaveLength(6)
  })

  test('is refused with the sum where there is no room for a copy', () => {
    const rooms = roomsFor(spec, [load('a', 400 * mb), load('b', 8 * gb), load('c', 8 * gb, { isHere: false })])
    expect(() => layOut(spec, rooms)).toThrow(
      /no host for node-4 of shard-1: a has 400 MB of memory, of which a snapshot 128 MB, the system 128 MB: one more engine takes 336 MB; b holds a copy of it; c does not answer\. Add a host/,
    )
  })
})

test('fewer cores than engines are said, and no more', () => {
  const nodes = layOut(spec)
  const loads = [load('a', 8 * gb, { carried: [mb] }), load('b', 8 * gb), load('c', 8 * gb)]
  expect(shortOfCores(nodes, loads)).toEqual(['a has 2 cores for 3 engines: when all are busy, each has a part of one'])
})
