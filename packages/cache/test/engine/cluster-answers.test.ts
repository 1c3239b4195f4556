import { expect, test } from 'vitest'
import { type ClusterAnswer, isBetter, readClusterAnswer } from '../../src/engine/cluster-answers.ts'

const asked = { host: '10.0.0.1', port: 7001 }

interface Told {
  readonly owners: readonly (readonly [id: string, port: number, from: number, to: number, epoch: number])[]
  readonly myself: string
  readonly state?: 'ok' | 'fail'
}

function told({ owners, myself, state = 'ok' }: Told): ClusterAnswer {
  const slots = owners.map(([id, port, from, to]) => [from, to, ['10.0.0.1', port, id, []]])
  const lines = owners.map(([id, port, from, to, epoch]) => {
    const flags = id === myself ? 'myself,master' : 'master'
    return `${id} 10.0.0.1:${port}@${port + 10_000} ${flags} - 0 0 ${epoch} connected ${from}-${to}`
  })
  const info = `cluster_state:${state}\r\ncluster_current_epoch:99\r\n`
  const answer = readClusterAnswer([slots, info, lines.join('\n')], asked)
  if (answer === undefined) throw new Error('that is no answer')
  return answer
}

const before = told({
  myself: 'a',
  owners: [
    ['a', 7001, 0, 9000, 1],
    ['b', 7002, 9001, 16_383, 2],
  ],
})

test('the highest configuration epoch wins, not the highest candidacy', () => {
  const after = told({
    myself: 'a',
    owners: [
      ['a', 7001, 0, 9000, 1],
      ['c', 7003, 9001, 16_383, 3],
    ],
  })
  expect(isBetter(after, before.layout)).toBe(true)
  expect(isBetter(before, after.layout)).toBe(false)
})

test('a node that was cut off is not believed', () => {
  const isolated = told({ myself: 'b', state: 'fail', owners: [['b', 7002, 0, 16_383, 50]] })
  expect(isBetter(isolated, before.layout)).toBe(false)
})

test('in one epoch only those who give or get a slot are believed', () => {
  const owners = [
    ['a', 7001, 0, 9001, 1],
    ['b', 7002, 9002, 16_383, 2],
  ] as const
  expect(isBetter(told({ myself: 'a', owners }), before.layout)).toBe(true)
  expect(isBetter(told({ myself: 'b', owners }), before.layout)).toBe(true)
  const third = [['c', 7003, 5, 5, 0], ['a', 7001, 0, 4, 1], ['a', 7001, 6, 9001, 1], owners[1]] as const
  expect(isBetter(told({ myself: 'd', owners: third }), before.layout)).toBe(false)
})

test('a host that is not named is the one that was asked', () => {
  const slots = [
    [0, 16_383, ['', 7001, 'a', []], [null, 7002, 'b', []], ['?', 7003, 'c', []], ['cache.example', 7004, 'd', []]],
  ]
  const answer = readClusterAnswer(
    [slots, 'cluster_state:ok\r\ncluster_current_epoch:7\r\n', new Error('NOPERM')],
    asked,
  )
  expect(answer?.layout).toEqual({
    epoch: 7,
    shards: [
      {
        primary: asked,
        replicas: [
          { host: '10.0.0.1', port: 7002 },
          { host: '10.0.0.1', port: 7003 },
          { host: 'cache.example', port: 7004 },
        ],
        slots: [[0, 16_383]],
      },
    ],
  })
})

test('nonsense is no answer', () => {
  expect(
    readClusterAnswer([new Error('ERR This instance has cluster support disabled'), '', ''], asked),
  ).toBeUndefined()
  expect(readClusterAnswer([[], 'cluster_state:ok', ''], asked)).toBeUndefined()
  expect(readClusterAnswer([[[0, 99_999, ['h', 1, 'x']]], 'cluster_state:ok', ''], asked)).toBeUndefined()
})
