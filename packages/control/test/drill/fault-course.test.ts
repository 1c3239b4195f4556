import type { FaultSeen } from '@holdfast/core'
import { HoldfastError } from '@holdfast/core'
import { describe, expect, test } from 'vitest'
import type { Desk } from '../../src/drill/desk.ts'
import { FaultCourse } from '../../src/drill/fault-course.ts'
import type { DrillPorts, DrillWish } from '../../src/drill/wish.ts'

const seen: FaultSeen = {
  id: 'f1',
  deployment: 'shop',
  fault: 'unattended',
  because: 'SIGKILL to the controller and to node-1 (primary of shard-1), nobody heals, for 20 s',
  targets: ['node-1'],
  injectedAt: 0,
  healsAt: 0,
  healedAt: null,
  trouble: null,
}

const wish: DrillWish = {
  deployment: 'shop',
  fault: 'unattended',
  forMs: null,
  node: null,
  clients: ['cache'],
  onProduction: null,
}

const portsWith = (desk: () => Partial<Desk> | undefined, said: string[] = []): DrillPorts => ({
  home: { agent: '/nowhere' },
  findDesk: () => desk() as Desk | undefined,
  startWorkload: () => ({ stop: async () => null }),
  say: (line) => void said.push(line),
  signal: new AbortController().signal,
})

const away = (): never => {
  throw new HoldfastError('UNREACHABLE_CONTROLLER', 'it does not answer any more')
}

describe('a fault that takes the controller along', () => {
  test('is found where faults are kept, once somebody answers again', async () => {
    const injectedAt = Date.now() + 1
    const said: string[] = []
    let asked = 0
    const desk = (): Partial<Desk> | undefined => {
      asked++
      if (asked === 1) return { injectFault: async () => away() }
      if (asked < 4) return undefined
      const older = { ...seen, id: 'f0', injectedAt: injectedAt - 60_000 }
      return { faults: async () => [{ ...seen, injectedAt }, older] }
    }
    const course = new FaultCourse('d1', wish, portsWith(desk, said))
    expect(await course.inject()).toMatchObject({ id: 'f1', injectedAt })
    expect(said).toEqual([`  fault: ${seen.because}`])
  })

  test('and one that was refused is refused', async () => {
    const refusal = new HoldfastError('REFUSED_DRILL', 'shop is not ready')
    const course = new FaultCourse(
      'd1',
      wish,
      portsWith(() => ({ injectFault: () => Promise.reject(refusal) })),
    )
    await expect(course.inject()).rejects.toBe(refusal)
  })
})
