import { expect, test } from 'vitest'
import { parseEtcdSeats, readEtcdSeats, writeEtcdSeats } from '../../src/store/etcd/seats.ts'
import { codeOf } from './store.contract.ts'
import { temporaryDirectory } from './temporary-home.ts'

test('who carries etcd is read, with the ports that etcd has by itself', () => {
  expect(parseEtcdSeats('a=10.0.0.1, b=10.0.0.2:4001,c=[fd00::3]', 'b')).toEqual([
    { name: 'a', address: '10.0.0.1', clientPort: 2379, peerPort: 2380 },
    { name: 'b', address: '10.0.0.2', clientPort: 4001, peerPort: 4002 },
    { name: 'c', address: 'fd00::3', clientPort: 2379, peerPort: 2380 },
  ])
})

test.each(['', 'a', 'a=', 'a=host', 'a=10.0.0.1,a=10.0.0.2', 'a=10.0.0.1:65535', 'b=10.0.0.1', 'A=10.0.0.1'])(
  '"%s" is refused',
  (text) => {
    expect(codeOf(() => parseEtcdSeats(text, 'a'))).toBe('USAGE')
  },
)

test('it is kept for the next start', () => {
  const { path, clean } = temporaryDirectory()
  expect(readEtcdSeats(path)).toBeUndefined()
  const seats = parseEtcdSeats('a=10.0.0.1', 'a')
  writeEtcdSeats(path, seats)
  expect(readEtcdSeats(path)).toEqual(seats)
  clean()
})
