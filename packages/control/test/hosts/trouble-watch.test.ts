import type { HostFacts } from '@holdfast/core'
import { expect, test } from 'vitest'
import { TroubleWatch } from '../../src/hosts/trouble-watch.ts'
import { HandClock } from '../server/hand-clock.ts'

const gb = 1024 ** 3
const facts = (freeBytes: number, wallNow: number): HostFacts =>
  ({
    memoryBytes: null,
    limits: { memoryBytes: null, cores: null },
    disk: { totalBytes: 100 * gb, freeBytes, readOnly: false },
    wallNow,
    clockJumpMs: 0,
    usage: { cpu: null, memoryFreeBytes: null },
  }) as never

test('what was seen of a host lasts while it says nothing, and goes with it', async () => {
  const clock = new HandClock()
  const names = ['a', 'b']
  const free = new Map<string, number | null>([
    ['a', 50 * gb],
    ['b', gb],
  ])
  const watch = new TroubleWatch({
    clock,
    names: () => names,
    facts: (name) => {
      const bytes = free.get(name) ?? null
      return bytes === null ? Promise.reject(new Error('silence')) : Promise.resolve(facts(bytes, clock.wall()))
    },
  })
  const seen = async (): Promise<number[]> => {
    await watch.look()
    return ['a', 'b'].map((name) => watch.troublesOn(name).length)
  }
  expect(await seen()).toEqual([0, 1])
  free.set('b', null)
  expect(await seen()).toEqual([0, 1])
  free.set('b', 60 * gb)
  expect(await seen()).toEqual([0, 0])
  free.set('b', gb)
  expect(await seen()).toEqual([0, 1])
  names.pop()
  expect(await seen()).toEqual([0, 0])
})
