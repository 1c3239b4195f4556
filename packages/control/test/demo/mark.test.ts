import type { EventKind, HoldfastEvent } from '@holdfast/core'
import { expect, test } from 'vitest'
import type { OpenMark } from '../../src/demo/mark.ts'
import { hearEvent, keepMark, openMark, toldMark } from '../../src/demo/mark.ts'
import { anEvent } from '../server/memory-platform.ts'

const at = 1_750_000_000_000
let seq = 0

function event(kind: EventKind, because: string, parts: Partial<HoldfastEvent> = {}): HoldfastEvent {
  seq++
  return { ...anEvent({ kind, because, at: at + 100 }), seq, ...parts }
}

/** The sentence of the newest mark after these events. */
function sentence(marks: readonly OpenMark[], events: readonly HoldfastEvent[]): string | null | undefined {
  return events.reduce(hearEvent, marks).at(-1)?.because
}

const killed = [openMark(at, 'kill', 'SIGKILL to node-1')]

test('a fault gets the sentence of the turn that does something about it', () => {
  const silent = event('turn', 'node-1 is silent')
  const frozen = event('turn', 'node-1 is frozen: killing it')
  const act = event('action', 'kill node-1', { cause: String(frozen.seq) })
  const later = event('turn', 'starting node-1')
  expect(sentence(killed, [silent])).toBe('node-1 is silent')
  expect(sentence(killed, [silent, frozen, act, later])).toBe('node-1 is frozen: killing it')
})

test('an action of another turn does not end the listening', () => {
  const turn = event('turn', 'node-1 is dead: promoting node-4')
  const old = event('action', 'start node-9', { cause: '0' })
  expect(sentence(killed, [old, turn])).toBe('node-1 is dead: promoting node-4')
})

test('what was said before the fault, or long after it, is about something else', () => {
  expect(sentence(killed, [event('turn', 'as specified', { at: at - 1 })])).toBeNull()
  expect(sentence(killed, [event('turn', 'somebody changed a setting', { at: at + 60_000 })])).toBeNull()
})

test('only the newest mark listens, and only one that the controller has to explain', () => {
  const turn = event('turn', 'node-2 is dead: promoting node-5')
  const two = keepMark(killed, openMark(at + 50, 'two', 'SIGKILL to node-2'))
  expect(hearEvent(two, turn).map(({ because }) => because)).toEqual([null, turn.because])
  expect(sentence(keepMark(killed, openMark(at, 'database', 'PostgreSQL was stopped')), [turn])).toBeNull()
})

test('what listens is nobody else’s business', () => {
  expect(toldMark(openMark(at, 'hot', 'a sale'))).toEqual({ at, action: 'hot', what: 'a sale', because: null })
})
