import { expect, test } from 'vitest'
import { whyNotShared } from '../../src/engine/shared-connection.ts'

test('what leaves a connection as it was may go over it', () => {
  expect(whyNotShared([['GET', 'k']])).toBeUndefined()
  expect(whyNotShared([['client', 'list']])).toBeUndefined()
  expect(whyNotShared([['MULTI'], ['INCR', 'k'], ['EXEC'], ['WAIT', '1', '100']])).toBeUndefined()
  expect(whyNotShared([['MULTI'], ['INCR', 'k'], ['DISCARD']])).toBeUndefined()
})

test('what changes it for the others may not', () => {
  const calls = [
    [['SELECT', '1']],
    [['subscribe', 'news']],
    [['CLIENT', 'REPLY', 'OFF']],
    [['client', 'tracking', 'off']],
    [['GET', 'k'], ['Monitor']],
  ]
  for (const commands of calls) expect(whyNotShared(commands)).toMatchObject({ code: 'INVALID' })
})

test('a transaction that does not begin or end in its call may not', () => {
  const calls = [[['MULTI']], [['EXEC']], [['MULTI'], ['INCR', 'k']], [['MULTI'], ['MULTI'], ['EXEC']]]
  for (const commands of calls) expect(whyNotShared(commands)?.message).toContain('belong into one call')
})

test('a call without a command may not', () => {
  expect(whyNotShared([])).toMatchObject({ code: 'INVALID' })
})
