import type { Document, Picture, Room, Spec, Status } from '@holdfast/core'
import { parseSpec, roomsFor } from '@holdfast/core'
import { beforeEach, describe, expect, test, vi } from 'vitest'
import { aReadyStatus } from '../../core/test/support/ready-status.ts'
import { ScaleDesk } from '../src/scale-desk.ts'

const wallAhead = 1_800_000_000_000
const spec = parseSpec({ name: 'shop' })

describe('samples of a deployment', () => {
  let now: number
  let rooms: readonly Room[]
  let desk: ScaleDesk
  let status: Status
  let document: Document
  let asked: unknown[]
  let told: string[]

  beforeEach(() => {
    ;[asked, told] = [[], []]
    now = 1_000_000
    rooms = roomsFor(spec, [])
    status = aReadyStatus()
    document = { name: 'shop', spec: { name: 'shop' }, nodes: [], operations: [] } as unknown as Document
    desk = new ScaleDesk({
      clock: { now: () => now, wall: () => now + wallAhead } as never,
      vacancies: { of: async () => ({ rooms, taken: new Set(), loads: [] }) },
      document: () => document,
      status: () => status,
      ask: async (name, { kind, shards }, actor) => {
        asked.push({ name, kind, shards, actor })
        const operation = { kind, id: 's1', subject: name, state: 'asked', because: 'asked for' } as never
        document = { ...document, operations: [operation] }
        return operation
      },
      tell: (_, because) => told.push(because),
    })
  })

  /** A turn each second, in which every main thread has used this share of a core. */
  function turns(
    seconds: number,
    share: number,
    by: { acts: boolean; wanted: Spec } = { acts: true, wanted: spec },
  ): void {
    for (let second = 0; second < seconds; second++) {
      now += 1000
      desk.saw('shop', lookWith(share), by.wanted, by.acts)
    }
  }

  const scaled = parseSpec({ name: 'shop', autoscale: {} })

  let usedMs = 0
  function lookWith(share: number): Picture {
    usedMs += 1000 * share
    const load = { runId: 'a', mainThreadMs: usedMs, backlogBytes: 0, evictedKeys: 0, hits: 0, misses: 0 }
    const facts = { role: 'primary', memoryBytes: 10, memoryMaxBytes: 100, load }
    const shards = status.shards.map(({ id, primary }) => ({
      id,
      primary: { id: primary, facts, seen: { engine: { kind: 'answered', at: now } } },
    }))
    return { at: now, shards } as unknown as Picture
  }

  test('are taken one each ten seconds, however often it is looked', async () => {
    turns(61, 0.5)
    const { samples, deployment, autoscale } = await desk.answer('shop')
    expect({ deployment, autoscale, count: samples.length }).toEqual({ deployment: 'shop', autoscale: 'off', count: 6 })
    expect(samples.at(-1)?.shards[0]).toMatchObject({ shard: 'shard-1', primary: 'node-1', cpu: expect.closeTo(0.5) })
    expect(samples.map(({ at }) => at - wallAhead)).toEqual([11, 21, 31, 41, 51, 61].map((s) => 1_000_000 + s * 1000))
  })

  test('are not kept longer than the longest time of the policy', async () => {
    turns(1800, 0.1)
    const { samples } = await desk.answer('shop')
    expect(samples.length).toBeLessThanOrEqual(92)
  })

  test('decide, and a controller that begins has none and is undecided', async () => {
    expect((await desk.answer('shop')).decision).toMatchObject({ action: 'undecided', rule: 'samples' })
    turns(400, 0.9)
    expect((await desk.answer('shop')).decision).toMatchObject({ action: 'out', rule: 'cpu' })
    desk.forget('shop')
    expect((await desk.answer('shop')).decision.action).toBe('undecided')
  })

  test('are still taken while it is frozen, and decide nothing then', async () => {
    status = { ...status, paused: { by: 'eva', at: 0, until: null, because: 'a look' } }
    turns(400, 0.9)
    expect((await desk.answer('shop')).decision).toMatchObject({ action: 'none', rule: 'frozen' })
  })

  test('wait for the cool-down after a change of the size, by a clock that was set meanwhile or not', async () => {
    turns(1300, 0.9)
    const ended = { kind: 'scale', state: 'done', beganAt: 1, endedAt: now + wallAhead - 300_000 } as never
    document = { ...document, operations: [ended] }
    expect((await desk.answer('shop')).decision).toMatchObject({
      rule: 'cool-down',
      because: 'the last change ended 5 min ago: nothing for another 5 min',
    })
  })

  test('ask for no more where no host has room', async () => {
    rooms = [{ host: 'local', zone: 'local', free: 1 }]
    turns(400, 0.9)
    const { decision } = await desk.answer('shop')
    expect(decision).toMatchObject({ action: 'none', rule: 'no-room' })
  })

  test('are acted on by whoever acts, with the reason told, and only where the spec wants it', async () => {
    turns(400, 0.9)
    turns(400, 0.9, { acts: false, wanted: scaled })
    expect(asked).toEqual([])
    turns(100, 0.9, { acts: true, wanted: scaled })
    await vi.waitFor(() => expect(asked).toEqual([{ name: 'shop', kind: 'scale', shards: 4, actor: 'autoscale' }]))
    expect(told).toEqual([expect.stringMatching(/^CPU above 70% for 5 min .*: one pair more, 3 to 4 shards$/)])
  })

  test('that want more than there is room for are told once', async () => {
    rooms = [{ host: 'local', zone: 'local', free: 1 }]
    turns(400, 0.9)
    turns(11, 0.9, { acts: true, wanted: scaled })
    await vi.waitFor(() => expect(told).toEqual([expect.stringContaining('there is no room for one pair more')]))
    turns(11, 0.9, { acts: true, wanted: scaled })
    await vi.waitFor(() => expect(desk.answer('shop')).resolves.toMatchObject({ decision: { rule: 'no-room' } }))
    expect([told.length, asked]).toEqual([1, []])
  })

  test('of one primary are no question of size', async () => {
    document = { ...document, spec: { name: 'shop', topology: 'standalone' } }
    await expect(desk.answer('shop')).rejects.toThrow('shop is no Cluster: its one primary cannot be shared out')
  })
})
