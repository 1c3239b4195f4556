import { expect, test } from 'vitest'
import { ReplyError } from '../../src/engine/engine.ts'
import { judge, nothingDone } from '../../src/engine/replies.ts'

const asked = { host: '10.0.0.1', port: 6379 }
const verdictOf = (message: string) => judge(new ReplyError(message), asked)
const isError = (reply: unknown): boolean => reply instanceof ReplyError

test('a redirect names another node; without a host it is the one that was asked', () => {
  const redirect = { kind: 'redirect', asking: false }
  expect(verdictOf('MOVED 3999 10.0.0.2:6381')).toEqual({ ...redirect, to: { host: '10.0.0.2', port: 6381 } })
  expect(verdictOf('MOVED 3999 :6381')).toEqual({ ...redirect, to: { host: '10.0.0.1', port: 6381 } })
  expect(verdictOf('MOVED 3999 ?:6381')).toEqual({ ...redirect, to: { host: '10.0.0.1', port: 6381 } })
  expect(verdictOf('ASK 3999 fe80::1:6381')).toEqual({
    kind: 'redirect',
    asking: true,
    to: { host: 'fe80::1', port: 6381 },
  })
  expect(verdictOf('MOVED 3999 nonsense')).toEqual({ kind: 'again', suspect: true })
})

test('what passes by itself is tried again', () => {
  for (const word of ['TRYAGAIN', 'CLUSTERDOWN', 'LOADING', 'MASTERDOWN', 'READONLY', 'NOREPLICAS', 'BUSY', 'OOM']) {
    expect(verdictOf(`${word} and so on`).kind).toBe('again')
  }
  // Whoever was cut off and succeeded says one of these, and knows of nobody else.
  for (const word of ['READONLY', 'NOREPLICAS', 'CLUSTERDOWN']) {
    expect(verdictOf(`${word} and so on`)).toEqual({ kind: 'again', suspect: true })
  }
  expect(verdictOf('ERR Error running script (call to f_0123): @user_script: 1: -OOM command not allowed')).toEqual({
    kind: 'again',
    suspect: false,
  })
})

test('what time will not change is not', () => {
  expect(verdictOf('WRONGTYPE Operation against a key').kind).toBe('final')
  expect(verdictOf('BUSYGROUP Consumer Group name already exists').kind).toBe('final')
  expect(verdictOf('NOPERM this user has no permissions').kind).toBe('denied')
})

test('several commands are sent again only if none was done', () => {
  const moved = new ReplyError('MOVED 1 10.0.0.2:6381')
  const aborted = new ReplyError('EXECABORT Transaction discarded because of previous errors.')
  expect(
    nothingDone(
      [
        ['SET', 'a', '1'],
        ['WAIT', '1', '100'],
      ],
      [moved, 0],
      isError,
    ),
  ).toBe(true)
  expect(
    nothingDone(
      [
        ['SET', 'a', '1'],
        ['SET', 'b', '1'],
      ],
      ['OK', moved],
      isError,
    ),
  ).toBe(false)
  const transaction = [['MULTI'], ['SET', 'a', '1'], ['SET', 'b', '1'], ['EXEC']]
  expect(nothingDone(transaction, ['OK', 'QUEUED', moved, aborted], isError)).toBe(true)
  expect(nothingDone(transaction, ['OK', 'QUEUED', 'QUEUED', ['OK', 'OK']], isError)).toBe(false)
})
