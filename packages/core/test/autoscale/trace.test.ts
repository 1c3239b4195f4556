import { describe, expect, test } from 'vitest'
import { HoldfastError, parseTrace } from '../../src/index.ts'
import { aSample } from '../support/loads.ts'

const csv = (...lines: string[]) => ['at,shards,cpu,memory', ...lines].join('\n')
const three = ['0,3,70%,40%', '10000,3,71%,40%', '20000,3,0.72,0.4']

describe('a trace is read', () => {
  test('as CSV, by the names of its columns', () => {
    const { loads, everyMs } = parseTrace(csv('# measured on friday', '', ...three), 'day.csv')
    expect(everyMs).toBe(10_000)
    expect(loads).toHaveLength(3)
    expect(loads[2]).toEqual({
      at: 20_000,
      shards: 3,
      cores: expect.closeTo(2.16),
      nodesFull: expect.closeTo(1.2),
      evicted: 0,
      hits: 0,
      misses: 0,
    })
  })

  test('in any order of the columns, with keys that were evicted, found and not found', () => {
    const text = [
      'memory,cpu,shards,misses,hits,evicted,at',
      ...[0, 1, 2].map((second) => `99%,20%,4,1,2,3,${second * 1000}`),
    ]
    expect(parseTrace(text.join('\r\n'), 'day.csv').loads[1]).toMatchObject({
      at: 1000,
      evicted: 3,
      hits: 2,
      misses: 1,
    })
  })

  test('with what was not measured left empty, and load that is more than all', () => {
    const { loads } = parseTrace(csv('0,3,,40%', '10000,3,250%,', '20000,3,1,1'), 'day.csv')
    expect(loads.map(({ cores, nodesFull }) => [cores, nodesFull])).toEqual([
      [null, expect.closeTo(1.2)],
      [7.5, null],
      [3, 3],
    ])
  })

  test('with times of a calendar', () => {
    const times = ['2026-11-30T20:00:00Z', '2026-11-30 20:00:10Z', '2026-11-30T20:00:20.250Z']
    const { loads } = parseTrace(csv(...times.map((time) => `${time},3,70%,40%`)), 'day.csv')
    expect(loads.map(({ at }) => at - 1_796_068_800_000)).toEqual([0, 10_000, 20_000])
  })

  test('as JSON lines, with the fields of CSV or as the API tells samples', () => {
    const samples = [0, 1, 2].map((index) => aSample(index * 10_000, { cpu: 0.5, memoryBytes: 30 }))
    const told = samples.map((sample) => JSON.stringify(sample)).join('\n')
    const flat = samples.map(({ at }) =>
      JSON.stringify({ at, shards: 3, cpu: '50%', memory: 0.3, evicted: 0, hits: 270, misses: 30 }),
    )
    const loads = parseTrace(told, 'day.jsonl').loads
    expect(loads[0]).toEqual({
      at: 0,
      shards: 3,
      cores: 1.5,
      nodesFull: expect.closeTo(0.9),
      evicted: 0,
      hits: 270,
      misses: 30,
    })
    expect(parseTrace(flat.join('\n'), 'day.jsonl').loads).toEqual(
      loads.map((load) => ({ ...load, nodesFull: expect.closeTo(0.9) })),
    )
    expect(parseTrace(JSON.stringify({ samples, decision: {} }, null, 2), 'answer.json').loads).toEqual(loads)
  })

  test('from samples that lack something', () => {
    const samples = [0, 1, 2].map((at) => aSample(at, {}, [{}, {}, { primary: null, cpu: null, memoryMaxBytes: null }]))
    expect(parseTrace(JSON.stringify({ samples }), 'answer.json').loads[0]).toMatchObject({
      cores: null,
      nodesFull: null,
    })
  })

  test('at the pace of most of its moments', () => {
    const text = csv(...[0, 10, 20, 3000, 3010, 3020].map((second) => `${second * 1000},3,1%,1%`))
    expect(parseTrace(text, 'day.csv').everyMs).toBe(10_000)
  })
})

describe('a trace is refused, with file and line', () => {
  test.each<[title: string, text: string, says: string]>([
    ['nothing', '', 'day:1: 0 moments: a trace has at least 3'],
    ['two moments', csv(...three.slice(1)), 'day:1: 2 moments: a trace has at least 3'],
    ['no head', three.join('\n'), 'day:1: "0" is no column; the first line names the columns: at,shards,cpu,memory'],
    ['a column that is missing', 'at,cpu,memory\n0,1%,1%', 'day:1: there is no column "shards"'],
    ['a column twice', 'at,shards,cpu,cpu,memory', 'day:1: a column is there twice'],
    ['a line that is short', csv('0,3,70%'), 'day:2: 3 values under 4 names'],
    [
      'a share without a unit',
      csv(three[0] ?? '', '10000,3,70,40%'),
      'day:3: cpu: "70" is not a share: write 70% or 0.7',
    ],
    ['a word', csv('0,3,70%,much'), 'day:2: memory: "much" is not a share'],
    [
      'no time',
      csv('yesterday,3,70%,40%'),
      'day:2: at: "yesterday" is no time: write 2026-12-01T02:00:00Z, or whole ms',
    ],
    ['a day that no calendar has', csv('2026-02-30T00:00:00Z,3,70%,40%'), 'is no time'],
    ['time that goes back', csv('9,3,1%,1%', '', '8,3,1%,1%'), 'day:4: not later than the line before: sort by time'],
    ['no shards', csv('0,0,70%,40%'), 'day:2: shards: a whole number, 1 to 500'],
    ['half a key', 'at,shards,cpu,memory,hits\n0,3,1%,1%,1.5', 'day:2: hits: "1.5" is not a count of keys'],
    [
      'half a line of JSON',
      '{"at":0,"shards":3,"cpu":1,"memory":1}\n{"at":',
      'day:2: no JSON: each line is one object',
    ],
    ['another object', '{"name":"shop","nodes":[]}', 'day:1: neither a sample of the API nor an object with at,'],
    ['an object without a field', '{"at":0,"shards":3,"cpu":1}', 'day:1: there is no field "memory"; write: at,shards'],
  ])('%s', (_, text, says) => {
    const read = () => parseTrace(text, 'day')
    expect(read).toThrow(HoldfastError)
    expect(read).toThrow(says)
  })

  test('more than can be played', () => {
    const text = csv(...Array.from({ length: 100_001 }, (_, index) => `${index},3,1%,1%`))
    expect(() => parseTrace(text, 'day')).toThrow('day:100002: more than 100000 moments')
  })
})
