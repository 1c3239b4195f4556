import { expect, test } from 'vitest'
import { weighSaid } from '../../src/engine/said.ts'
import type { Address, Layout } from '../../src/engine/topology.ts'

const at = (port: number): Address => ({ host: 'h', port })
const layout: Layout = {
  epoch: 7,
  shards: [
    { primary: at(1), replicas: [at(3)], slots: [[0, 8191]] },
    { primary: at(2), replicas: [at(4)], slots: [[8192, 16_383]] },
  ],
}
const [first, second] = [[[0, 8191]], [[8192, 16_383]]] as const
const nothing = { ask: [], open: [], doubt: [], strange: false }

test('what is known already asks nobody anything', () => {
  const said = [
    { slots: first, primary: at(1), changing: false },
    { slots: second, primary: at(2), changing: false },
  ]
  expect(weighSaid(said, layout)).toEqual(nothing)
})

test('a copy that is said to be the primary is asked, and nobody else', () => {
  expect(weighSaid([{ slots: first, primary: at(3), changing: false }], layout)).toEqual({ ...nothing, ask: [at(3)] })
})

test('an address that no engine has named is asked nothing: it is a reason to look', () => {
  expect(weighSaid([{ slots: first, primary: at(9), changing: false }], layout)).toEqual({ ...nothing, strange: true })
})

test('where a failover has begun the primary is doubted, and its copies are connected', () => {
  const said = [{ slots: second, primary: null, changing: true }]
  expect(weighSaid(said, layout)).toEqual({ ...nothing, open: [at(4)], doubt: [at(2)] })
})

test('where a switchover has begun nobody is doubted', () => {
  expect(weighSaid([{ slots: second, primary: at(2), changing: true }], layout)).toEqual({ ...nothing, open: [at(4)] })
})

test('slots of nobody, and of no Cluster, are no trouble', () => {
  expect(weighSaid([{ slots: [[99_999, 5]], primary: at(3), changing: true }], layout)).toEqual(nothing)
  const one = { ...layout, shards: layout.shards.slice(0, 1) }
  expect(weighSaid([{ slots: [], primary: at(3), changing: false }], one)).toEqual({ ...nothing, ask: [at(3)] })
})
