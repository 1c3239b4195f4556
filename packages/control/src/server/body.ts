import { HoldfastError } from '@holdfast/core'

/**
 * The doors for what callers send. They pick the fields they know, refuse the ones they do not, and never copy the
 * object as a whole.
 */
export type Fields = Readonly<Record<string, unknown>>

const depthMax = 32

/** The body as an object with no other keys than these. */
export function parseFields(input: unknown, known: readonly string[]): Fields {
  if (!isObject(input)) throw usage('send a JSON object')
  const unknown = Object.keys(input).find((key) => !known.includes(key))
  if (unknown !== undefined) throw usage(`unknown field "${unknown.slice(0, 80)}": known are ${known.join(', ')}`)
  return input
}

/** Before anything looks into it: what walks through a body by recursion must not use up the stack. */
export function refuseDeep(body: unknown): void {
  if (depthOf(body) > depthMax) throw usage(`the body is nested deeper than ${depthMax}`)
}

export function text(fields: Fields, key: string, lengthMax: number): string {
  const value = fields[key]
  if (typeof value !== 'string' || value.length > lengthMax) {
    throw usage(`${key}: a string of at most ${lengthMax} characters`)
  }
  return value
}

/** An absent flag is off. */
export function flag(fields: Fields, key: string): boolean {
  const value = fields[key] ?? false
  if (typeof value !== 'boolean') throw usage(`${key}: true or false`)
  return value
}

export function oneOf<const T extends string>(fields: Fields, key: string, choices: readonly T[]): T {
  const found = choices.find((choice) => choice === fields[key])
  if (found === undefined) throw usage(`${key}: one of ${choices.join(', ')}`)
  return found
}

/** A revision that an edit was based on, or null for whatever is there. */
export function revision(fields: Fields, key: string): number | null {
  const value = fields[key] ?? null
  if (value === null) return null
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) throw usage(`${key}: a revision, or null`)
  return value
}

/** A whole number of a query string. */
export function wholeNumber(query: Fields, key: string, range: { min: number; max: number }): number | undefined {
  const value = query[key]
  if (value === undefined) return undefined
  const number = typeof value === 'string' && /^\d{1,15}$/.test(value) ? Number(value) : Number.NaN
  if (!(number >= range.min && number <= range.max)) throw usage(`${key}: ${range.min} to ${range.max}`)
  return number
}

export const usage = (message: string): HoldfastError => new HoldfastError('USAGE', message)

export const isObject = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** Level by level, not by recursion: a body made of brackets must not use up the stack. */
function depthOf(root: unknown): number {
  let depth = 0
  for (let level: unknown[] = [root]; level.length > 0 && depth <= depthMax; depth++) {
    level = level.flatMap((value) => (typeof value === 'object' && value !== null ? Object.values(value) : []))
  }
  return depth
}
