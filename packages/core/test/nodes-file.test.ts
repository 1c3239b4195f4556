import { expect, test } from 'vitest'
import { mendShardIds } from '../src/nodes-file.ts'

const id = (letter: string): string => letter.repeat(40)
const node = (letter: string, shard: string | null, flags: string, follows: string, slots = ''): string => {
  const named = shard === null ? '' : `,,tls-port=0,shard-id=${id(shard)}`
  return `${id(letter)} 127.0.0.1:7001@17001${named} ${flags} ${follows} 0 1796009965000 3 connected${slots}`
}
const file = (...lines: string[]): string => `${lines.join('\n')}\nvars currentEpoch 3 lastVoteEpoch 0\n`

test('a replica that was written down in another shard is put into that of its primary', () => {
  const primary = node('a', 'b', 'myself,master', '-', ' 0-5460')
  const wrong = file(node('c', 'd', 'slave', id('a')), primary, node('e', 'b', 'slave', id('a')))
  const right = file(node('c', 'b', 'slave', id('a')), primary, node('e', 'b', 'slave', id('a')))
  expect(mendShardIds(wrong)).toBe(right)
  expect(mendShardIds(right)).toBeNull()
})

test('its own line is mended too, and the slots, epochs and other fields stay', () => {
  const wrong = file(node('a', 'b', 'master', '-', ' 0-5460 [93->-c]'), node('c', 'd', 'myself,slave', id('a')))
  expect(mendShardIds(wrong)).toBe(wrong.replace(id('d'), id('b')))
})

test('a file without shards, with a primary that is not in it, or with none that differ is left alone', () => {
  expect(mendShardIds(file(node('a', null, 'myself,master', '-'), node('c', null, 'slave', id('a'))))).toBeNull()
  expect(mendShardIds(file(node('c', 'd', 'myself,slave', id('a'))))).toBeNull()
  expect(mendShardIds(file(node('a', 'b', 'myself,master', '-'), node('c', 'b', 'slave', id('a'))))).toBeNull()
  expect(mendShardIds('')).toBeNull()
})

test('a replica of a replica is in the shard of the first of them, and a circle comes to an end', () => {
  const lines = (shard: string) =>
    file(node('a', shard, 'slave', id('f')), node('c', shard, 'myself,slave', id('a')), node('f', 'b', 'master', '-'))
  expect(mendShardIds(lines('d'))).toBe(lines('b'))
  const circle = file(node('a', 'b', 'slave', id('c')), node('c', 'b', 'myself,slave', id('a')))
  expect(mendShardIds(circle)).toBeNull()
})
