import { randomBytes, scrypt, timingSafeEqual } from 'node:crypto'
import { HoldfastError } from '@holdfast/core'

/**
 * The administrator's password: generated, shown once, kept as a scrypt hash whose string carries its parameters,
 * so that they can be raised later without losing the old hashes.
 */
const cost = { N: 2 ** 17, r: 8, p: 1 }
const maxmem = 256 * 1024 ** 2

/** 32 characters that nobody confuses when reading aloud: no i, l, o and no 0. Five bits each. */
const alphabet = 'abcdefghjkmnpqrstuvwxyz123456789'

/** Seven groups of four, 140 bits: `kxq7-…`. */
export function generatePassword(): string {
  const letters = [...randomBytes(28)].map((byte) => alphabet[byte & 31]).join('')
  return letters.match(/.{4}/g)?.join('-') ?? ''
}

export async function hashPassword(password: string): Promise<string> {
  const salt = randomBytes(16)
  const hash = await gate(() => derive(password, salt, 32, cost))
  return `scrypt$N=${cost.N},r=${cost.r},p=${cost.p}$${salt.toString('base64')}$${hash.toString('base64')}`
}

export async function verifyPassword(password: string, stored: string): Promise<boolean> {
  const [, N, r, p, salt, hash] = /^scrypt\$N=(\d+),r=(\d+),p=(\d+)\$([^$]+)\$([^$]+)$/.exec(stored) ?? []
  if (salt === undefined || hash === undefined) throw new Error('the stored password hash is not one of ours')
  const wanted = Buffer.from(hash, 'base64')
  const given = await gate(() =>
    derive(password, Buffer.from(salt, 'base64'), wanted.length, { N: Number(N), r: Number(r), p: Number(p) }),
  )
  return timingSafeEqual(given, wanted)
}

function derive(password: string, salt: Buffer, length: number, options: typeof cost): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    scrypt(password.normalize('NFKC'), salt, length, { ...options, maxmem }, (error, hash) => {
      if (error === null) resolve(hash)
      else reject(error)
    })
  })
}

const runningMax = 2
const waitingMax = 16
let running = 0
const waiting: (() => void)[] = []

/**
 * A hash costs 128 MB and a third of a second of a core, by intent. Two at a time and a short queue, or a flood of
 * sign-ins would take the memory and the threads of the controller.
 */
async function gate<T>(work: () => Promise<T>): Promise<T> {
  if (running >= runningMax) {
    if (waiting.length >= waitingMax) {
      throw new HoldfastError('AUTH_THROTTLED', 'too many sign-ins at once: try again in 5 s', { retryAfterS: 5 })
    }
    await new Promise<void>((resolve) => waiting.push(resolve))
  } else running++
  try {
    return await work()
  } finally {
    // The place is handed on, not given back: whoever waited longest runs next.
    const next = waiting.shift()
    if (next === undefined) running--
    else next()
  }
}
