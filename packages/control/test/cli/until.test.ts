import type { Status } from '@holdfast/core'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { isReadyAt } from '../../src/cli/until.ts'

const status = (lease: Status['controller']['lease'], id = 'other'): Status =>
  ({ ready: 'yes', specRevision: 1, settledRevision: 1, controller: { id, epoch: 1, lease } }) as Status

describe('a deployment that is ready is in the hands of somebody', () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['performance'] })
  })

  afterEach(() => {
    vi.useRealTimers()
  })

  test('at once where the controller that is asked acts', () => {
    expect(isReadyAt(1)(status('held'))).toBe(true)
  })

  test('once another one has held it for longer than the lease of a dead one lasts', () => {
    const isThere = isReadyAt(1)
    expect(isThere(status('lost'))).toBe(false)
    vi.advanceTimersByTime(6000)
    expect(isThere(status('lost'))).toBe(false)
    vi.advanceTimersByTime(1000)
    expect(isThere(status('lost'))).toBe(true)
  })

  test('and not while they take turns, or nobody has it', () => {
    const isThere = isReadyAt(1)
    for (const next of [status('lost'), status('none'), status('lost'), status('lost', 'a third')]) {
      expect(isThere(next)).toBe(false)
      vi.advanceTimersByTime(6000)
    }
  })
})
