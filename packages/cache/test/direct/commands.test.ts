import { describe, expect, test } from 'vitest'
import { blocksFor, checkCommand, effectOf } from '../../src/direct/commands.ts'
import { tagNames } from '../../src/direct/names.ts'
import { streamEntries } from '../../src/direct/stream.ts'

describe('what a command does', () => {
  test.each([
    ['read', ['get', 'k']],
    ['read', ['XRANGE', 's', '-', '+']],
    ['repeatable', ['SET', 'k', 'v', 'PX', '5']],
    ['repeatable', ['SET', 'NX', 'XX']],
    ['repeatable', ['SADD', 's', 'm']],
    ['repeatable', ['ZADD', 'z', '1', 'm']],
    ['once', ['SET', 'k', 'v', 'NX']],
    ['once', ['SET', 'k', 'v', 'px', '5', 'get']],
    ['once', ['ZADD', 'z', 'INCR', '1', 'm']],
    ['once', ['INCR', 'k']],
    ['once', ['LPUSH', 'k', 'v']],
    ['once', ['XADD', 's', '*', 'f', 'v']],
    ['once', ['NOBODY.KNOWS', 'k']],
  ] as const)('%s: %j', (kind, command) => {
    expect(effectOf(command).kind).toBe(kind)
  })

  test('knows which commands wait, and for how long', () => {
    expect(blocksFor(['XREADGROUP', 'GROUP', 'g', 'me', 'BLOCK', '500', 'STREAMS', 's', '>'])).toBe(500)
    expect(blocksFor(['XREAD', 'STREAMS', 'BLOCK', '0'])).toBeUndefined()
    expect(blocksFor(['BLPOP', 'a', '0.5'])).toBe(500)
    expect(blocksFor(['LPOP', 'a'])).toBeUndefined()
    expect(() => blocksFor(['BLPOP', 'a', '0'])).toThrow('BLPOP would wait for ever')
  })

  test('says what to use instead of commands that change the connection', () => {
    expect(() => checkCommand(['multi'])).toThrow('MULTI is not for a shared connection: use transaction([...])')
    expect(() => checkCommand(['WAIT', 1, 100])).toThrow('say durable: true')
  })

  test('refuses what is no command', () => {
    for (const wrong of [[], [''], [1], 'GET', [undefined], ['GET', {}], ['GET', Number.NaN], ['GET', null]]) {
      expect(() => checkCommand(wrong as never)).toThrow(expect.objectContaining({ code: 'INVALID' }))
    }
  })
})

describe('names', () => {
  const names = tagNames('shop:d:/', '{user:1}')

  test('keep the tag as the only braces in front', () => {
    expect(names.key('cart')).toBe('shop:d:/{user:1}:cart')
    expect(names.operationKey('7')).toBe('shop:d:/{user:1}:op:7')
  })

  test('know their own keys among arguments', () => {
    expect(names.keysAmong(['HSET', names.key('cart'), 'apple', Buffer.from('x')])).toEqual([names.key('cart')])
  })

  test.each(['user:1', '{}', '{a}{b}', 'x{a}', '', null, '{'.repeat(2), `{${'x'.repeat(300)}}`])(
    'refuse %j as a tag',
    (tag) => {
      expect(() => tagNames('shop:d:/', tag as string)).toThrow(expect.objectContaining({ code: 'INVALID' }))
    },
  )

  test.each(['', 'op:1', 'shop:d:/{user:1}:cart', '\ud800', 'x'.repeat(2000), 7])('refuse %j as a name', (name) => {
    expect(() => names.key(name as string)).toThrow(expect.objectContaining({ code: 'INVALID' }))
  })
})

describe('entries of streams', () => {
  const entries = [
    ['1-0', ['a', '1']],
    ['2-0', null],
  ]
  const parsed = [
    { id: '1-0', fields: { a: '1' } },
    { id: '2-0', fields: null },
  ]

  test.each([
    ['XRANGE', entries],
    ['XAUTOCLAIM', ['0-0', entries, []]],
    ['XREADGROUP by RESP 2', [['stream', entries]]],
    ['XREADGROUP by RESP 3', new Map([['stream', entries]])],
    ['XREADGROUP as an object', { stream: entries }],
  ])('%s', (_, reply) => {
    expect(JSON.parse(JSON.stringify(streamEntries(reply)))).toEqual(parsed)
  })

  test('none in an empty reply', () => {
    for (const reply of [null, undefined, [], ['0-0', [], []], [['stream', []]]])
      expect(streamEntries(reply)).toEqual([])
  })
})
