import { describe, expect, test } from 'vitest'
import { shiftNode, shiftProxy, shiftSentinel } from '../src/agent-times.ts'
import type { AgentNodeSeen, AgentProxySeen, AgentSentinelSeen } from '../src/observed.ts'

/*
 * Every time of a sample is of one number, 1000, and nothing else is. So a field that is forgotten shows, and so does one
 * that is moved though it is no time.
 */
const at = 1000
const byMs = 250
const process = { state: 'running', pid: 7, startTime: 77, stopped: false, cpuMs: 3, cpuRoseAt: at } as const
const starts = { failures: 2, lastAt: at, lastError: 'Bad directive' }
const access = {
  version: '7.0.15',
  usersFile: null,
  passwords: null,
  signInFile: null,
  signsInWith: null,
  signInGivenAt: at,
  linkRenewedAt: at,
  closing: { rotation: 'op-1', at, closed: 3, left: 0 },
}
const node: AgentNodeSeen = {
  process,
  files: { aof: true, rdb: true, rdbNewer: false, claim: { engineId: 'a', role: 'primary', configEpoch: 3 } },
  record: {
    engineId: 'a',
    role: 'primary',
    ownedSlots: true,
    configEpoch: 3,
    replid: 'r',
    offset: 50_000,
    link: 'up',
    logs: true,
    linkUpAt: at,
    linkDownSince: at,
    at,
  },
  starts,
  fencedAt: at,
  failoverAsked: { at, mode: 'force' },
  config: { hz: '50' },
  usersMatch: true,
  written: null,
  given: null,
  saveAskedAt: at,
  freeMemoryBytes: 5,
  jobs: [{ id: 'j', kind: 'seal', state: 'done', bytes: 9, because: null }],
  access,
  restore: { placed: null, hasFiles: false },
}
const sentinel: AgentSentinelSeen = {
  process,
  starts,
  fencedAt: at,
  failoverAsked: { at, mode: 'switchover' },
  resetAt: at,
  access,
}
const proxy: AgentProxySeen = {
  process,
  starts,
  fencedAt: at,
  loaded: null,
  answer: { kind: 'answered', at, askedAt: at, facts: { primary: 'node-1', replicas: [], told: 1 } },
}

/** The same with every time moved, told by its text alone. */
const movedText = <T>(sample: T): T => JSON.parse(JSON.stringify(sample).replaceAll(`:${at}`, `:${at + byMs}`)) as T

describe('times of an agent, in times of another clock', () => {
  test('all of a node, a Sentinel and a proxy, and nothing else', () => {
    expect(shiftNode(node, byMs)).toEqual(movedText(node))
    expect(shiftSentinel(sentinel, byMs)).toEqual(movedText(sentinel))
    expect(shiftProxy(proxy, byMs)).toEqual(movedText(proxy))
  })

  test.each([
    { process: { state: 'absent' } },
    { process: { state: 'dead', since: at, pid: 7, lingering: true } },
    { answer: { kind: 'silent', since: at } },
    { answer: { kind: 'refused', at, reason: 'nobody listens' } },
    { answer: { kind: 'loading', at } },
    { answer: { kind: 'unknown' } },
  ] satisfies Partial<AgentProxySeen>[])('whatever became of it: %j', (some) => {
    const sample = { ...proxy, ...some }
    expect(shiftProxy(sample, byMs)).toEqual(movedText(sample))
  })

  test('what never was, and what was long ago, stays so', () => {
    const longAgo = -Number.MAX_VALUE
    const blank: AgentNodeSeen = {
      ...node,
      process: { state: 'absent' },
      record: null,
      starts: { failures: 0, lastAt: null, lastError: null },
      fencedAt: null,
      failoverAsked: null,
      saveAskedAt: null,
      access: { ...access, signInGivenAt: null, linkRenewedAt: null, closing: null },
    }
    expect(shiftNode(blank, byMs)).toEqual(blank)
    const old = { ...node, record: node.record && { ...node.record, at: longAgo, linkUpAt: longAgo } }
    expect(shiftNode(old, byMs).record).toMatchObject({ at: longAgo, linkUpAt: longAgo })
  })
})
