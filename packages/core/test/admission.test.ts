import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Envelope } from '../src/index.ts'
import { admit, HoldfastError } from '../src/index.ts'

const anEnvelope = (over: Partial<Envelope> = {}): Envelope => ({
  deployment: 'shop',
  controllerEpoch: 7,
  notAfter: 5000,
  action: { kind: 'failover', node: 'node-4', mode: 'takeover' },
  ...over,
})

function refusal(envelope: Envelope, highestEpoch: number, now: number): HoldfastError | null {
  try {
    admit(envelope, highestEpoch, now)
    return null
  } catch (error) {
    if (error instanceof HoldfastError) return error
    throw error
  }
}

describe('an agent runs only what the newest controller sends in time', () => {
  test('the epoch that it has obeyed before, and a newer one', () => {
    expect(refusal(anEnvelope(), 7, 4000)).toBeNull()
    expect(refusal(anEnvelope(), 6, 4000)).toBeNull()
  })

  test('the last millisecond is in time', () => {
    expect(refusal(anEnvelope(), 7, 5000)).toBeNull()
  })

  test('a controller that was paused and outdone is refused', () => {
    const error = refusal(anEnvelope(), 8, 4000)
    expect(error?.code).toBe('REFUSED_STALE_EPOCH')
    expect(error?.message).toBe('refused failover on node-4 of shop: epoch 7 is over, a controller of epoch 8 acts')
    expect(error?.facts).toEqual({ deployment: 'shop', controllerEpoch: 7, highestEpoch: 8, node: 'node-4' })
  })

  test('what comes too late is refused, by the clock of the agent', () => {
    const error = refusal(anEnvelope(), 7, 5250.4)
    expect(error?.code).toBe('REFUSED_EXPIRED')
    expect(error?.message).toBe('refused failover on node-4 of shop: it came 250 ms too late')
  })

  test('too old and too late is told as too old: asking again would not help', () => {
    expect(refusal(anEnvelope(), 8, 9000)?.code).toBe('REFUSED_STALE_EPOCH')
  })

  test('nothing of a lower epoch and nothing late is ever let in', () => {
    fc.assert(
      fc.property(fc.nat(20), fc.nat(20), fc.nat(100), fc.nat(100), (epoch, highest, notAfter, at) => {
        const isRefused = refusal(anEnvelope({ controllerEpoch: epoch, notAfter }), highest, at) !== null
        expect(isRefused).toBe(epoch < highest || at > notAfter)
      }),
    )
  })
})
