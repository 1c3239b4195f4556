import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Said } from '../../src/engine/sequence.ts'
import { follow, printSaid, readSaid } from '../../src/engine/sequence.ts'

const change = (seq: number): Said => ({ sender: 's', seq, keys: [`key ${seq}`] })
const heartbeat = (seq: number): Said => ({ sender: 's', seq, keys: [] })

describe('numbered messages', () => {
  test.each<[what: string, last: number | undefined, said: Said, expected: { last: number | undefined; gap: boolean }]>(
    [
      ['the next one', 4, change(5), { last: 5, gap: false }],
      ['one is missing', 4, change(6), { last: 6, gap: true }],
      ['the same again', 4, change(4), { last: 4, gap: false }],
      ['a late one', 4, change(2), { last: 4, gap: false }],
      ['a sender from its first change on', undefined, change(1), { last: 1, gap: false }],
      ['a sender that has said things before', undefined, change(7), { last: 7, gap: true }],
      ['a sender that has said nothing yet', undefined, heartbeat(0), { last: 0, gap: false }],
      ['all was heard', 4, heartbeat(4), { last: 4, gap: false }],
      ['the last change is missing', 4, heartbeat(5), { last: 5, gap: true }],
      ['a sender that began anew', 4, heartbeat(1), { last: 1, gap: true }],
      ['a sender that leaves', 4, { sender: 's', seq: 4, keys: 'bye' }, { last: undefined, gap: false }],
      ['a sender that leaves unheard', 4, { sender: 's', seq: 5, keys: 'bye' }, { last: undefined, gap: true }],
    ],
  )('%s', (_what, last, said, expected) => {
    expect(follow(last, said)).toMatchObject(expected)
  })

  test('whatever is lost, doubled or overtaken: each change is told, or the link ends after it', () => {
    // What happens to each message on its way: how often it comes, and how much later than it should.
    const fate = fc.record({ copies: fc.integer({ min: 0, max: 3 }), late: fc.integer({ min: 0, max: 4 }) })
    const message = fc.record({ isChange: fc.boolean(), fate })
    fc.assert(
      fc.property(fc.array(message, { maxLength: 30 }), (messages) => {
        let seq = 0
        const sent = messages.map((one, at) => ({
          at,
          fate: one.fate,
          said: one.isChange ? change(++seq) : heartbeat(seq),
        }))
        const coming = sent
          .flatMap(({ at, fate: { copies, late }, said }) =>
            Array.from({ length: copies }, (_, copy) => ({ said, at, arrives: at + late * copy + late })),
          )
          .sort((a, b) => a.arrives - b.arrives)
        // The heartbeats do not end; one gets through at last. If none does, the silence ends the link.
        const heard = [...coming, { said: heartbeat(seq), at: messages.length, arrives: Number.POSITIVE_INFINITY }]
        const told = new Set<string>()
        /** When the link last ended, by when messages arrive. */
        let endedAt = Number.NEGATIVE_INFINITY
        let last: number | undefined = 0
        for (const { said, arrives } of heard) {
          const followed = follow(last, said)
          last = followed.last
          if (followed.gap) endedAt = arrives
          for (const key of followed.keys) told.add(key)
        }
        for (const { said, at } of sent) {
          for (const key of said.keys) expect(told.has(key) || endedAt >= at).toBe(true)
        }
      }),
    )
  })

  test('are read as they were printed, and nothing else is read', () => {
    const said: fc.Arbitrary<Said> = fc.record({
      sender: fc.string(),
      seq: fc.maxSafeNat(),
      keys: fc.oneof(fc.array(fc.string()), fc.constant('bye' as const)),
    })
    fc.assert(
      fc.property(said, (value) => {
        expect(readSaid(printSaid(value))).toEqual(value)
      }),
    )
    for (const text of ['', '{}', '[]', '["s",-1,[]]', '["s",1,[2]]', '["s",1.5,[]]', '["s",1,"hello"]', '[1,1,[]]']) {
      expect(readSaid(text)).toBe(undefined)
    }
  })
})
