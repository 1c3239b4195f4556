/**
 * A time as a person writes it: `2026-12-01 02:00Z`, `02:00`, `+2h`, or `window` for the next maintenance window. All of
 * it is UTC: a time that moved with daylight saving would come twice one night, and not at all in another.
 */
import { HoldfastError } from './error.ts'
import { nextOpening, parseMaintenanceWindow } from './maintenance-window.ts'
import { duration, formatInstant } from './units.ts'

const dayMs = 86_400_000
/** A clock that is a little late is no reason to refuse; a time further ahead is a slip of the pen. */
const lateMs = 60_000
const aheadMs = 366 * dayMs

/** Ms since 1970; null: at once. Throws USAGE with what can be written. */
export function parseWhen(text: string, now: number, maintenanceWindow: string | null): number | null {
  const at = readWhen(text.trim(), now, maintenanceWindow)
  if (at === undefined) {
    throw new HoldfastError(
      'USAGE',
      `--at ${text.slice(0, 60)}: write 2026-12-01 02:00Z, 02:00 (UTC, the next), +2h, or window for the maintenance window`,
    )
  }
  if (at < now - lateMs) throw new HoldfastError('USAGE', `--at ${text}: ${formatInstant(at)} is over`)
  if (at > now + aheadMs)
    throw new HoldfastError('USAGE', `--at ${text}: ${formatInstant(at)} is more than a year ahead`)
  return at <= now ? null : at
}

function readWhen(text: string, now: number, maintenanceWindow: string | null): number | undefined {
  if (text === 'window') return openingOf(maintenanceWindow, now)
  if (text.startsWith('+')) {
    const length = duration.safeParse(text.slice(1))
    return length.success ? now + length.data : undefined
  }
  const [, date, clock] = /^(?:(\d{4}-\d{2}-\d{2})[T ])?(\d{2}:\d{2}(?::\d{2})?)(?: ?(?:Z|UTC))?$/.exec(text) ?? []
  const ofDay = clock === undefined ? undefined : timeOfDay(clock)
  if (ofDay === undefined) return undefined
  if (date !== undefined) return /(Z|UTC)$/.test(text) ? addTo(startOf(date), ofDay) : undefined
  const today = Math.floor(now / dayMs) * dayMs + ofDay
  return today > now ? today : today + dayMs
}

function openingOf(text: string | null, now: number): number {
  const window = text === null ? undefined : parseMaintenanceWindow(text)
  if (window !== undefined) return nextOpening(window, now)
  throw new HoldfastError('USAGE', '--at window: the spec names no maintenanceWindow')
}

function timeOfDay(clock: string): number | undefined {
  const [hours = 0, minutes = 0, seconds = 0] = clock.split(':').map(Number)
  return hours < 24 && minutes < 60 && seconds < 60 ? ((hours * 60 + minutes) * 60 + seconds) * 1000 : undefined
}

/** `2026-12-01T02:00:00Z`, ms since 1970; undefined: it is none. */
export function readInstant(text: string): number | undefined {
  return /^\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2})?Z$/.test(text) ? readWhen(text, 0, null) : undefined
}

/** Midnight of a day; undefined for one that no calendar has, such as 2026-02-30. */
function startOf(date: string): number | undefined {
  const [year = 0, month = 0, day = 0] = date.split('-').map(Number)
  // From March on, so that the day that some years have more is the last one.
  const [years, months] = month > 2 ? [year, month - 3] : [year - 1, month + 9]
  const leapDays = Math.floor(years / 4) - Math.floor(years / 100) + Math.floor(years / 400)
  const days = years * 365 + leapDays + Math.floor((153 * months + 2) / 5) + day - 1 - 719_468
  return formatInstant(days * dayMs).startsWith(date) ? days * dayMs : undefined
}

const addTo = (start: number | undefined, ms: number): number | undefined =>
  start === undefined ? undefined : start + ms
