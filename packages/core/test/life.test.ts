import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Life } from '../src/index.ts'
import { isGone, judgeLife } from '../src/index.ts'
import type { Break } from './support/deployment.ts'
import {
  absent,
  aDeployment,
  agentOf,
  away,
  dead,
  loading,
  nodeOf,
  now,
  saysBusy,
  silentFor,
  starting,
  withoutAgent,
} from './support/deployment.ts'

const frozenAfterMs = 2000

function lifeOf(...breaks: readonly Break[]): Life {
  const [seen] = aDeployment().with(...breaks).observed.nodes
  if (seen === undefined) throw new Error('there is no node')
  return judgeLife(seen, frozenAfterMs, now)
}

describe('a node that answers lives', () => {
  test('whatever else is known of it', () => {
    expect(lifeOf()).toBe('alive')
    expect(lifeOf(withoutAgent('node-1'))).toBe('alive')
  })

  test('LOADING and BUSY are answers, however long it has been idle', () => {
    const idle: Break = (world) => {
      const { process } = agentOf(world, 'node-1')
      if (process.state === 'running') process.cpuRoseAt = 0
    }
    expect(lifeOf(idle, loading('node-1'))).toBe('loading')
    expect(lifeOf(idle, saysBusy('node-1'))).toBe('busy')
  })

  test('LOADING and BUSY are answers where its agent is not heard, too', () => {
    expect(lifeOf(loading('node-1'), withoutAgent('node-1'))).toBe('loading')
    expect(lifeOf(saysBusy('node-1'), withoutAgent('node-1'))).toBe('busy')
  })
})

describe('dead is what its agent says, and nothing else', () => {
  test('gone, a zombie, or with a SIGKILL on its way', () => {
    expect(lifeOf(dead('node-1'))).toBe('dead')
    expect(lifeOf(dead('node-1', { lingering: true }))).toBe('dead')
    expect(lifeOf(absent('node-1'))).toBe('absent')
  })

  test('its last answer may be older than its death', () => {
    const diedAfterItsAnswer: Break = (world) => {
      agentOf(world, 'node-1').process = { state: 'dead', since: now + 1, pid: 4001, lingering: false }
    }
    expect(lifeOf(diedAfterItsAnswer)).toBe('dead')
  })

  test('one that answers after its death was noted is another process of the same node, and lives', () => {
    const notedLongAgo: Break = (world) => {
      agentOf(world, 'node-1').process = { state: 'dead', since: now - 60_000, pid: 4001, lingering: false }
    }
    expect(lifeOf(notedLongAgo)).toBe('alive')
    expect(lifeOf(notedLongAgo, loading('node-1'))).toBe('loading')
    expect(lifeOf(notedLongAgo, saysBusy('node-1'))).toBe('busy')
  })

  test('one that answers and is not known to its agent lives', () => {
    const unknownToItsAgent: Break = (world) => {
      agentOf(world, 'node-1').process = { state: 'absent' }
    }
    expect(lifeOf(unknownToItsAgent)).toBe('alive')
  })

  test('only dead and absent are proof for a promotion', () => {
    const lives: Life[] = ['alive', 'loading', 'starting', 'busy', 'frozen', 'silent', 'away', 'dead', 'absent']
    expect(lives.filter(isGone)).toEqual(['dead', 'absent'])
  })
})

describe('frozen needs silence and idleness, both for frozenAfter', () => {
  test('silent and without CPU time for so long', () => {
    expect(lifeOf(silentFor('node-1', 2000))).toBe('frozen')
  })

  test('silent for so long, and stopped by a signal', () => {
    expect(lifeOf(silentFor('node-1', 2000, 'stopped'))).toBe('frozen')
  })

  test('a millisecond less is suspicion only', () => {
    expect(lifeOf(silentFor('node-1', 1999))).toBe('silent')
    expect(lifeOf(silentFor('node-1', 1999, 'stopped'))).toBe('silent')
  })

  test('silent for so long, and burning CPU, is busy', () => {
    expect(lifeOf(silentFor('node-1', 60_000, 'burning CPU'))).toBe('busy')
  })

  test('idle for a millisecond less than it is silent is busy still', () => {
    const lateIdle: Break = (world) => {
      const { process } = agentOf(world, 'node-1')
      if (process.state === 'running') process.cpuRoseAt = now - 1999
    }
    expect(lifeOf(silentFor('node-1', 60_000), lateIdle)).toBe('busy')
  })

  test('not asked yet, or turned away, is not silence', () => {
    expect(lifeOf(starting('node-1'))).toBe('starting')
    const notAsked: Break = (world) => {
      nodeOf(world, 'node-1').engine = { kind: 'unknown' }
    }
    expect(lifeOf(notAsked)).toBe('starting')
  })
})

describe('away is suspicion only', () => {
  test('where neither the engine nor its agent answers', () => {
    expect(lifeOf(away('node-1'))).toBe('away')
    expect(lifeOf(starting('node-1'), withoutAgent('node-1'))).toBe('away')
  })

  test('no length of silence makes a node dead or frozen that its agent does not speak of', () => {
    fc.assert(
      fc.property(fc.double({ min: 0, max: 1e12, noNaN: true }), (ms) => {
        expect(lifeOf(silentFor('node-1', ms), withoutAgent('node-1'))).toBe('away')
      }),
    )
  })
})
