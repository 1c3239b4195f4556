import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { MaintenanceWindow } from '../src/index.ts'
import { isOpen, nextOpening, parseMaintenanceWindow } from '../src/index.ts'

function windowOf(text: string): MaintenanceWindow {
  const window = parseMaintenanceWindow(text)
  if (window === undefined) throw new Error(`not a window: ${text}`)
  return window
}

const at = (text: string): number => Date.parse(`${text}Z`)

// 2026-11-29 is a Sunday.
describe('a maintenance window', () => {
  test.each([
    ['Sun 02:00-04:00 UTC', '2026-11-29T02:00', true],
    ['Sun 02:00-04:00 UTC', '2026-11-29T03:59:59.999', true],
    ['Sun 02:00-04:00 UTC', '2026-11-29T04:00', false],
    ['Sun 02:00-04:00 UTC', '2026-11-29T01:59:59.999', false],
    ['Sun 02:00-04:00 UTC', '2026-11-30T03:00', false],
    ['daily 2:00-4:00 UTC', '2026-12-03T03:00', true],
    ['Sat,Sun 02:00-04:00 UTC', '2026-11-28T03:00', true],
    ['Mon-Fri 02:00-04:00 UTC', '2026-11-28T03:00', false],
    ['Mon-Fri 02:00-04:00 UTC', '2026-12-04T03:00', true],
    ['Fri-Mon,Wed 02:00-04:00 UTC', '2026-11-29T03:00', true],
    ['Fri-Mon,Wed 02:00-04:00 UTC', '2026-12-01T03:00', false],
    ['sat 22:00-02:00 UTC', '2026-11-29T01:00', true],
    ['sat 22:00-02:00 UTC', '2026-11-28T01:00', false],
    ['Sun 22:00-02:00 UTC', '2026-11-30T01:59', true],
    ['Sun 22:00-24:00 UTC', '2026-11-29T23:59', true],
    ['Sun 22:00-24:00 UTC', '2026-11-30T00:00', false],
  ])('%s at %s: %s', (text, moment, open) => {
    expect(isOpen(windowOf(text), at(moment))).toBe(open)
  })

  test.each([
    ['Sun 02:00-04:00 UTC', '2026-11-29T01:00', '2026-11-29T02:00'],
    ['Sun 02:00-04:00 UTC', '2026-11-29T03:00', '2026-11-29T03:00'],
    ['Sun 02:00-04:00 UTC', '2026-11-29T04:00', '2026-12-06T02:00'],
    ['Sun 22:00-02:00 UTC', '2026-11-30T02:00', '2026-12-06T22:00'],
    ['Sat,Sun 02:00-04:00 UTC', '2026-11-28T05:00', '2026-11-29T02:00'],
    ['daily 23:30-00:30 UTC', '2026-12-31T12:00', '2026-12-31T23:30'],
    ['daily 23:30-00:30 UTC', '2027-01-01T00:15', '2027-01-01T00:15'],
  ])('%s opens for what is asked at %s at %s', (text, moment, opens) => {
    expect(nextOpening(windowOf(text), at(moment))).toBe(at(opens))
  })

  test.each([
    '',
    'Sunday 02:00-04:00 UTC',
    'Sun 02:00-04:00',
    'Sun 02:00-04:00 CET',
    'Sun 02:00 UTC',
    'Sun 02:00-02:00 UTC',
    'Sun 24:00-02:00 UTC',
    'Sun 02:60-04:00 UTC',
    'Sun 25:00-26:00 UTC',
    'Sun, 02:00-04:00 UTC',
    'Sun-Mon-Tue 02:00-04:00 UTC',
    '02:00-04:00 UTC',
  ])('"%s" is none', (text) => {
    expect(parseMaintenanceWindow(text)).toBeUndefined()
  })

  const names = ['Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat', 'Sun']
  const windows = fc
    .tuple(
      fc.uniqueArray(fc.constantFrom(...names), { minLength: 1 }),
      fc.integer({ min: 0, max: 23 }),
      fc.integer({ min: 0, max: 23 }),
    )
    .filter(([, from, to]) => from !== to)
  const moments = fc.integer({ min: 0, max: 4_000_000_000_000 })

  test('is open just when a calendar says so, minute by minute', () => {
    fc.assert(
      fc.property(windows, moments, ([days, from, to], moment) => {
        const window = windowOf(`${days.join(',')} ${from}:00-${to}:00 UTC`)
        const dayOf = (time: number) => names[(new Date(time).getUTCDay() + 6) % 7] ?? ''
        const hour = new Date(moment).getUTCHours()
        const today = days.includes(dayOf(moment)) && hour >= from && (to < from || hour < to)
        const yesterday = days.includes(dayOf(moment - 86_400_000)) && to < from && hour < to
        expect(isOpen(window, moment)).toBe(today || yesterday)
      }),
    )
  })

  test('is open when it is said to open, and was not before', () => {
    fc.assert(
      fc.property(windows, moments, ([days, from, to], moment) => {
        const window = windowOf(`${days.join(',')} ${from}:00-${to}:00 UTC`)
        const opens = nextOpening(window, moment)
        expect(opens).toBeGreaterThanOrEqual(moment)
        expect(opens - moment).toBeLessThan(7 * 86_400_000)
        expect(isOpen(window, opens)).toBe(true)
        if (opens > moment) expect(isOpen(window, opens - 1)).toBe(false)
      }),
    )
  })
})
