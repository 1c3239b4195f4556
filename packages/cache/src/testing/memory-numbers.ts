import { ReplyError } from '../engine/engine.ts'

const notAnInteger = 'ERR value is not an integer or out of range'
const largest = 2n ** 63n - 1n
const smallest = -(2n ** 63n)

export const isInt64 = (value: bigint): boolean => value >= smallest && value <= largest

/** As strict as the engine: no blanks, no plus, no leading zeros, 64 bits. */
export function parseInteger(bytes: Buffer, complaint = notAnInteger): bigint {
  const digits = bytes.toString('latin1')
  if (!/^(?:0|-?[1-9]\d{0,18})$/.test(digits)) throw new ReplyError(complaint)
  const value = BigInt(digits)
  if (!isInt64(value)) throw new ReplyError(complaint)
  return value
}

/** An integer that is small enough to be counted with. */
export function parseCount(bytes: Buffer, complaint = notAnInteger): number {
  return Number(parseInteger(bytes, complaint))
}

export function parseDouble(bytes: Buffer, complaint = 'ERR value is not a valid float'): number {
  const digits = bytes.toString('latin1').toLowerCase()
  if (/^[+-]?inf(?:inity)?$/.test(digits)) return digits.startsWith('-') ? -Infinity : Infinity
  if (!/^[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/.test(digits)) throw new ReplyError(complaint)
  return Number(digits)
}

const places = 17n

/**
 * The sum of two decimals, exact up to 17 places behind the point. The engine counts in long doubles and prints 17
 * places, so that 0.1 and 0.2 are 0.3; a JavaScript number would say 0.30000000000000004. In sums of thousands its last
 * places are rounded, and these are not.
 */
export function addDecimals(one: Buffer, other: Buffer): string {
  const sum = scaled(one) + scaled(other)
  const digits = (sum < 0n ? -sum : sum).toString().padStart(Number(places) + 1, '0')
  const whole = digits.slice(0, -Number(places))
  const fraction = digits.slice(-Number(places)).replace(/0+$/, '')
  return `${sum < 0n ? '-' : ''}${whole}${fraction === '' ? '' : `.${fraction}`}`
}

function scaled(bytes: Buffer): bigint {
  const value = parseDouble(bytes)
  if (!Number.isFinite(value)) throw new ReplyError('ERR increment would produce NaN or Infinity')
  const [, sign, whole = '', fraction = '', exponent = '0'] =
    /^([+-]?)(\d*)\.?(\d*)(?:e([+-]?\d+))?$/i.exec(bytes.toString('latin1')) ?? []
  const shift = Number(exponent) - fraction.length + Number(places)
  const digits = BigInt(`${whole}${fraction}`)
  const moved = shift >= 0 ? digits * 10n ** BigInt(shift) : digits / 10n ** BigInt(-shift)
  return sign === '-' ? -moved : moved
}
