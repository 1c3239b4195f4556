import { expect, test } from 'vitest'
import { formatInstant, HoldfastError, parseWhen } from '../src/index.ts'

/** A Monday. */
const now = Date.parse('2026-11-30T06:40:12Z')
const at = (text: string, window: string | null = null): string | null => {
  const time = parseWhen(text, now, window)
  return time === null ? null : formatInstant(time)
}

test.each([
  ['2026-12-01 02:00Z', '2026-12-01 02:00:00Z'],
  ['2026-12-01T02:00:30Z', '2026-12-01 02:00:30Z'],
  ['2026-12-01 02:00 UTC', '2026-12-01 02:00:00Z'],
  ['06:41', '2026-11-30 06:41:00Z'],
  ['06:40', '2026-12-01 06:40:00Z'],
  ['02:00 UTC', '2026-12-01 02:00:00Z'],
  ['+2h', '2026-11-30 08:40:12Z'],
])('%s is %s', (text, instant) => {
  expect(at(text)).toBe(instant)
})

test('a window is when it opens next, or now where it is open', () => {
  expect(at('window', 'Sun 02:00-04:00 UTC')).toBe('2026-12-06 02:00:00Z')
  expect(at('window', 'daily 06:00-07:00 UTC')).toBeNull()
  expect(() => at('window')).toThrow('the spec names no maintenanceWindow')
})

test.each(['tomorrow', '25:00', '2026-02-30 02:00Z', '2026-13-01 02:00Z', '2026-12-01 02:00', '+2', '-2h', '', '2h'])(
  '"%s" is refused with what can be written',
  (text) => {
    expect(() => at(text)).toThrow(HoldfastError)
    expect(() => at(text)).toThrow('write 2026-12-01 02:00Z, 02:00 (UTC, the next), +2h, or window')
  },
)

test('what is over, or more than a year ahead, is refused', () => {
  expect(() => at('2026-11-30 06:00Z')).toThrow('2026-11-30 06:00:00Z is over')
  expect(() => at('2126-11-30 06:00Z')).toThrow('more than a year ahead')
})

test('an instant reads as any calendar has it', () => {
  for (let day = 0; day < 40_000; day += 17) {
    const ms = day * 86_400_000 + 12_345_000
    expect(formatInstant(ms)).toBe(new Date(ms).toISOString().replace('T', ' ').replace('.000', ''))
  }
})
