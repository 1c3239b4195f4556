/**
 * When work that may wait is done: `Sun 02:00-04:00 UTC`, `Sat,Sun 22:00-02:00 UTC`, `Mon-Fri 03:00-04:00 UTC`,
 * `daily 02:00-04:00 UTC`. UTC only: a window that moved with daylight saving would be open twice one night, and not at
 * all in another.
 *
 * A window is a list of stretches of a week, which begins on Monday at 00:00 UTC. One that goes past midnight belongs
 * to the day on which it opens; the one of Sunday goes on in the next week.
 */

const days = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'] as const

const minuteMs = 60_000
const dayMs = 24 * 60 * minuteMs
const weekMs = 7 * dayMs

/** 1970 began on a Thursday: that many days after a Monday. */
const epochDay = 3

interface Stretch {
  /** Since the beginning of the week, in ms. */
  readonly from: number
  readonly forMs: number
}

export interface MaintenanceWindow {
  readonly text: string
  readonly stretches: readonly Stretch[]
}

/** Undefined: it is not written as a window. */
export function parseMaintenanceWindow(text: string): MaintenanceWindow | undefined {
  const [, dayText, from, to] = /^(\S+) +(\d{1,2}:\d{2})-(\d{1,2}:\d{2}) +UTC$/.exec(text.trim()) ?? []
  if (dayText === undefined || from === undefined || to === undefined) return undefined
  const [chosen, opens, closes] = [parseDays(dayText.toLowerCase()), parseTime(from), parseTime(to)]
  if (chosen === undefined || opens === undefined || closes === undefined) return undefined
  if (opens === closes || opens === dayMs) return undefined
  const forMs = closes > opens ? closes - opens : closes + dayMs - opens
  return { text: text.trim(), stretches: chosen.map((day) => ({ from: day * dayMs + opens, forMs })) }
}

/** `now` is ms since 1970. The end is not in it. */
export const isOpen = (window: MaintenanceWindow, now: number): boolean =>
  window.stretches.some(({ from, forMs }) => sinceOpening(from, now) < forMs)

/** When work may begin: now, where the window is open, else when it opens next. Ms since 1970. */
export function nextOpening(window: MaintenanceWindow, now: number): number {
  if (isOpen(window, now)) return now
  return Math.min(...window.stretches.map(({ from }) => now - sinceOpening(from, now) + weekMs))
}

/** How long ago a moment of the week was last, in ms. */
const sinceOpening = (from: number, now: number): number => modulo(now + epochDay * dayMs - from, weekMs)

const modulo = (value: number, by: number): number => ((value % by) + by) % by

function parseDays(text: string): number[] | undefined {
  if (text === 'daily') return days.map((_, index) => index)
  const chosen = new Set<number>()
  for (const part of text.split(',')) {
    const [first, last, ...more] = part.split('-').map((day) => days.indexOf(day as (typeof days)[number]))
    if (first === undefined || first < 0 || last === -1 || more.length > 0) return undefined
    const length = last === undefined ? 0 : modulo(last - first, days.length)
    for (let step = 0; step <= length; step++) chosen.add((first + step) % days.length)
  }
  return [...chosen].sort((a, b) => a - b)
}

function parseTime(text: string): number | undefined {
  const [hours, minutes] = text.split(':').map(Number) as [number, number]
  const at = (hours * 60 + minutes) * minuteMs
  return minutes < 60 && at <= dayMs ? at : undefined
}
