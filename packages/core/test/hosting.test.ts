import { describe, expect, test } from 'vitest'
import type { SpecText } from '../src/index.ts'
import {
  announcedBy,
  HoldfastError,
  judgeSpecChange,
  layOut,
  misplacedIn,
  parseSpec,
  placeMore,
  placeSentinels,
} from '../src/index.ts'

const [a, b, c] = ['a', 'b', 'c'].map((name, index) => ({
  name,
  address: `10.0.0.${index + 1}`,
  zone: `z${index + 1}`,
}))
const on = (hosts: readonly unknown[], fields: SpecText = {}) =>
  parseSpec({ name: 'shop', hosts: [...hosts], ...fields })
const refusal = (hosts: readonly unknown[], fields: SpecText = {}): string => {
  try {
    on(hosts, fields)
  } catch (error) {
    if (error instanceof HoldfastError) return `${error.code} ${error.message}`
    throw error
  }
  return ''
}
const documentOn = (spec: ReturnType<typeof on>, text: SpecText) => ({
  apiVersion: 1 as const,
  name: spec.name,
  revision: 1,
  specRevision: 1,
  settledRevision: 1,
  spec: text,
  wanted: 'up' as const,
  nodes: layOut(spec),
  operations: [],
  scale: { shards: 3, setBy: 'spec' },
  secrets: {},
  acceptDataLoss: false,
  purge: false,
})

describe('where nodes go', () => {
  test('six on three hosts: two each, and no shard twice on one', () => {
    const spec = on([a, b, c])
    const nodes = layOut(spec)
    for (const host of ['a', 'b', 'c']) expect(nodes.filter((node) => node.host === host)).toHaveLength(2)
    for (const shard of ['shard-1', 'shard-2', 'shard-3'])
      expect(new Set(nodes.filter((node) => node.shard === shard).map(({ host }) => host)).size).toBe(2)
    expect(nodes.map(({ address, port }) => `${address}:${port}`)).toContain('10.0.0.2:7002')
    expect(misplacedIn(nodes, spec)).toEqual([])
  })

  test('what the loss of one host would cost more than it must is said', () => {
    const spec = on([a, b], { placement: { spread: 'host' } })
    const together = layOut(spec).map((node) => ({ ...node, host: 'a' }))
    expect(misplacedIn(layOut(spec), spec)).toEqual([])
    expect(misplacedIn(together, spec)[0]).toBe('all copies of shard-1 (node-1, node-4) are in one host, a')
  })

  test('a tiebreaker carries Sentinels, and no data', () => {
    const spec = on([a, b, { ...c, tiebreaker: 'yes' }], { topology: 'sentinel', shards: 1 })
    expect(
      layOut(spec)
        .map(({ host }) => host)
        .sort(),
    ).toEqual(['a', 'b'])
    expect(
      placeSentinels(spec)
        .map(({ host }) => host)
        .sort(),
    ).toEqual(['a', 'b', 'c'])
  })

  test('one more copy goes where its shard is not, and is refused where there is no such host', () => {
    const text = { name: 'shop', hosts: [a, b, c] }
    const spec = parseSpec(text)
    const document = documentOn(spec, text)
    const seats = document.nodes.filter(({ shard }) => shard === 'shard-1').map(({ host }) => host)
    const [more] = placeMore(document, spec, [{ shard: 'shard-1' }], () => false)
    expect([more?.id, seats.includes(more?.host ?? '')]).toEqual(['node-7', false])
    const twice = (): unknown => placeMore(document, spec, [{ shard: 'shard-1' }, { shard: 'shard-1' }], () => false)
    expect(twice).toThrow(expect.objectContaining({ code: 'REFUSED_PLACEMENT' }))
  })

  test('without hosts all is on this machine', () => {
    expect(new Set(layOut(parseSpec({ name: 'shop' })).map(({ host, address }) => `${host} ${address}`))).toEqual(
      new Set(['local 127.0.0.1']),
    )
  })
})

describe('what a spec of hosts is refused for', () => {
  test.each([
    ['more copies than hosts', [a, b], { replicasPerShard: 2 }, 'a shard has 3 copies, and there are 2 hosts'],
    ['two of one name', [a, { ...b, name: 'a' }], {}, 'there is a host a above'],
    ['two at one address', [a, { ...b, address: '10.0.0.1' }], {}, '10.0.0.1 is the address of a host above'],
    ['a name in place of an address', [{ ...a, address: 'a.example.org' }, b], {}, 'an IP address'],
    ['tiebreakers alone', [{ ...a, tiebreaker: 'yes' }], {}, 'all are tiebreakers'],
    ['more Sentinels than hosts', [a, b], { topology: 'sentinel', shards: 1 }, '3 Sentinels, and 2 hosts'],
    [
      'announcing behind Sentinels',
      [{ ...a, announce: { ip: '203.0.113.1' } }, b, c],
      { topology: 'sentinel', shards: 1 },
      'needs topology cluster',
    ],
  ] as const)('%s', (_, hosts, fields, sentence) => {
    expect(refusal(hosts, fields)).toMatch(/^SPEC_INVALID/)
    expect(refusal(hosts, fields)).toContain(sentence)
  })

  test('two copies on one host are taken where somebody says so', () => {
    expect(refusal([a, b], { replicasPerShard: 2, placement: { spread: 'none' } })).toBe('')
  })
})

describe('an edit of hosts', () => {
  const howOf = (before: readonly unknown[], after: readonly unknown[]) =>
    judgeSpecChange(on(before), on(after), { used: [], acceptEviction: false }).map(({ path, how }) => `${path} ${how}`)

  test('one may come, be at another address, and go', () => {
    const d = { name: 'd', address: '10.0.0.4' }
    expect(howOf([a, b, c], [a, b, c, d])).toEqual(['hosts live'])
    expect(howOf([a, b, c], [a, b])).toEqual(['hosts live'])
    expect(howOf([a, b, c], [a, b, { ...c, address: '10.0.0.9' }])).toEqual(['hosts live'])
    expect(howOf([], [a, b, c])).toContain('hosts refused')
  })
})

describe('what a node is called by others', () => {
  test('its own address, so that nobody guesses; or what is announced, port by port', () => {
    const announce = { ip: '203.0.113.1', hostname: 'a.example.org', ports: [17_001, 17_006] }
    const spec = on([{ ...a, announce }, b, c])
    const nodes = layOut(spec)
    const named = nodes.map((node) => announcedBy(node, nodes, spec))
    const onA = named.filter((_, index) => nodes[index]?.host === 'a')
    expect(onA.map((one) => [one?.ip, one?.hostname, one?.port])).toEqual([
      ['203.0.113.1', 'a.example.org', 17_001],
      ['203.0.113.1', 'a.example.org', 17_006],
    ])
    expect(named.find((_, index) => nodes[index]?.host === 'b')).toEqual({ ip: '10.0.0.2', hostname: null, port: null })
  })
})
