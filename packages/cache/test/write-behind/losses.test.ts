import { expect, test } from 'vitest'
import type { Loss } from '../../src/write-behind/events.ts'
import { Losses } from '../../src/write-behind/losses.ts'

function watched() {
  const told: Loss[] = []
  return { losses: new Losses((loss) => told.push(loss)), told }
}

test('is silent while a life goes on', () => {
  const { losses, told } = watched()
  losses.saw(7, { life: 'a', last: 0, unsaved: 1 }, 0)
  losses.acknowledge(7, 100)
  losses.saw(7, { life: 'a', last: 100, unsaved: 2 }, losses.acknowledged(7))
  expect(told).toEqual([])
})

test('says what is known of a partition that came back empty, once', () => {
  const { losses, told } = watched()
  losses.saw(7, { life: 'a', last: 0, unsaved: 3 }, 0)
  losses.acknowledge(7, 100)
  for (let seen = 0; seen < 2; seen++) losses.saw(7, { life: 'b', last: 0, unsaved: 0 }, losses.acknowledged(7))
  expect(told).toEqual([{ partition: 7, because: 'the engine came back without it', keys: 3, acknowledged: 100 }])
})

test('says that an older copy took over', () => {
  const { losses, told } = watched()
  losses.saw(7, { life: 'a', last: 0, unsaved: 1 }, 0)
  losses.acknowledge(7, 100)
  losses.saw(7, { life: 'a', last: 60, unsaved: 1 }, losses.acknowledged(7))
  expect(told).toMatchObject([{ partition: 7, because: 'the engine came back with an older copy of it', keys: 1 }])
})

test('does not take an answer that comes late for an older copy', () => {
  const { losses, told } = watched()
  losses.saw(7, { life: 'a', last: 0, unsaved: 1 }, 0)
  const promised = losses.acknowledged(7)
  losses.acknowledge(7, 100)
  losses.saw(7, { life: 'a', last: 60, unsaved: 1 }, promised)
  expect(told).toEqual([])
})

test('is silent about a partition in which nothing was', () => {
  const { losses, told } = watched()
  losses.saw(7, { life: 'a', last: 0, unsaved: 0 }, 0)
  losses.saw(7, { life: 'b', last: 0, unsaved: 0 }, 0)
  expect(told).toEqual([])
})
