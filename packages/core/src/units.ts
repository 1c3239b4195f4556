import { z } from 'zod'

const durationUnits = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const
const byteUnits = { b: 1, kb: 1024, mb: 1024 ** 2, gb: 1024 ** 3, tb: 1024 ** 4 } as const

/** `1500ms`, `5s`, `2m`, `24h` in a spec; milliseconds inside. A bare number is refused: nobody knows its unit. */
export const duration = z.string().transform((text, context) => {
  const [, amount, unit] = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(text) ?? []
  if (amount === undefined) {
    context.addIssue({ code: 'custom', message: `"${text}" is not a duration: write 500ms, 5s, 2m, 24h or 7d` })
    return z.NEVER
  }
  return Math.round(Number(amount) * durationUnits[unit as keyof typeof durationUnits])
})

/** `256mb`, `2gb` in a spec; bytes inside. 1kb is 1024 bytes, as the engine counts. A bare number means bytes. */
export const bytes = z.union([z.string(), z.int().min(0)]).transform((value, context) => {
  const [, amount, unit] = /^(\d+(?:\.\d+)?)(b|kb|mb|gb|tb)?$/.exec(String(value).toLowerCase()) ?? []
  if (amount === undefined) {
    context.addIssue({ code: 'custom', message: `"${value}" is not a size: write 512kb, 256mb or 2gb` })
    return z.NEVER
  }
  return Math.round(Number(amount) * byteUnits[(unit ?? 'b') as keyof typeof byteUnits])
})

/** `70%` in a spec; 0.7 inside. */
export const ratio = z.string().transform((text, context) => {
  const [, amount] = /^(\d+(?:\.\d+)?)%$/.exec(text) ?? []
  if (amount === undefined || Number(amount) > 100) {
    context.addIssue({ code: 'custom', message: `"${text}" is not a share: write 70%` })
    return z.NEVER
  }
  return Number(amount) / 100
})

/** YAML 1.2 reads `yes` and `no` as words; people mean true and false. */
export const yesNo = z
  .union([z.boolean(), z.enum(['yes', 'no'])])
  .transform((value) => value === true || value === 'yes')

/** A year: what is longer is the beginning of a clock, or its end. */
const longestToldMs = 31_536_000_000

/** `812 ms`, `2.4 s`, `3 min`, `30 days`: a duration as a person reads it. */
export function formatDuration(ms: number): string {
  if (ms > longestToldMs) return 'a long time'
  if (ms < 1000) return `${Math.round(ms)} ms`
  if (ms < 120_000) return `${trim(ms / 1000)} s`
  if (ms < 7_200_000) return `${Math.round(ms / 60_000)} min`
  if (ms < 172_800_000) return `${trim(ms / 3_600_000)} h`
  return `${trim(ms / 86_400_000)} days`
}

/** `1.5 MB`, `256 MB`: a size as a person reads it. */
export function formatBytes(count: number): string {
  if (count < 1024) return `${count} B`
  if (count < 1024 ** 2) return `${trim(count / 1024)} KB`
  if (count < 1024 ** 3) return `${trim(count / 1024 ** 2)} MB`
  return `${trim(count / 1024 ** 3)} GB`
}

/** `2026-12-01 02:00:00Z`, from ms since 1970: an instant as a person reads it. */
export function formatInstant(ms: number): string {
  const [days, rest] = [Math.floor(ms / 86_400_000), Math.floor(ms / 1000) % 86_400]
  // Years are counted from March on, so that the day that some of them have more is their last one.
  const shifted = days + 719_468
  const era = Math.floor(shifted / 146_097)
  const day = shifted - era * 146_097
  const year = Math.floor((day - Math.floor(day / 1460) + Math.floor(day / 36_524) - Math.floor(day / 146_096)) / 365)
  const ofYear = day - (365 * year + Math.floor(year / 4) - Math.floor(year / 100))
  const month = Math.floor((5 * ofYear + 2) / 153)
  const date = [
    year + era * 400 + (month < 10 ? 0 : 1),
    month < 10 ? month + 3 : month - 9,
    ofYear - Math.floor((153 * month + 2) / 5) + 1,
  ]
  const time = [Math.floor(rest / 3600), Math.floor(rest / 60) % 60, rest % 60]
  const two = (value: number): string => String(value).padStart(2, '0')
  return `${date.map(two).join('-')} ${time.map(two).join(':')}Z`
}

const trim = (value: number): string => value.toFixed(1).replace(/\.0$/, '')
