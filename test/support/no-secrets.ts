/**
 * Nothing that a test writes shows a secret outside of the few places where one belongs. A home is searched just before
 * it is removed, what a program said when it ends, and the processes of the run all the time (`watch-processes.ts`).
 */
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join, relative } from 'node:path'
import { secretsShown } from '@holdfast/core'

/** For their owner alone, in a directory that is for its owner alone: who must know a secret in clear reads it there. */
const placesOfSecrets = [
  // The key, and how the command line signs in to the controller.
  /^(secret\.key|controller\.json)$/,
  // Who a machine is in its home.
  /^agent\/membership\.json$/,
  // By which a replica, a Sentinel and a proxy sign in.
  /\/(engine\.conf|sentinel\.conf|haproxy\.cfg|loaded\.cfg)[^/]*$/,
  // Of certificates: an engine's is in a folder of its own, beside its certificate.
  /(^|\/)[\w-]+\.(key|pem)$|\/tls\//,
  // By which a machine that has joined is known.
  /^agent\/membership\.json$/,
  // The demonstration's cluster that nobody keeps up, and its database.
  /^demo\//,
]

const bytesMax = 16 * 1024 ** 2

/** Where a home shows one, in words. */
export function secretsInHome(home: string): string[] {
  return filesBelow(home).flatMap((path) => {
    const name = relative(home, path)
    if (placesOfSecrets.some((place) => place.test(name))) return []
    return shownIn(textOf(path)).map((secret) => `${name} shows ${secret}`)
  })
}

/**
 * In the environment of what somebody types, who is not Holdfast: a shell, a script with the lines as they are printed. Its
 * arguments and what it says are his.
 */
export const byHand = { HOLDFAST_TEST_HAND: 'yes' } as const

/** Commands that are there to show one, and what somebody asks for with these words. */
const showing = /--show-secret|^password$/

export function secretsSaid(args: readonly string[], said: string): string[] {
  if (args.some((arg) => showing.test(arg))) return []
  return shownIn(said).map((secret) => `"holdfast ${args.join(' ')}" says ${secret}`)
}

/** As much of it as tells where it comes from: what is found in a log of the tests is no place for a whole one either. */
export const shownIn = (text: string): string[] => [...new Set(secretsShown(text))].map((secret) => secret.slice(0, 12))

export function refuseSecrets(found: readonly string[]): void {
  if (found.length > 0) throw new Error(`a secret is where none belongs:\n${found.join('\n')}`)
}

/** Links are not followed: the engines behind them are everybody's. */
function filesBelow(directory: string): string[] {
  const entries = readdirSync(directory, { withFileTypes: true })
  return entries.flatMap((entry) => {
    const path = join(directory, entry.name)
    if (entry.isDirectory()) return filesBelow(path)
    return entry.isFile() ? [path] : []
  })
}

/** Byte by byte, so that what is text in a database or a snapshot is found as well; an engine may remove its files meanwhile. */
function textOf(path: string): string {
  try {
    return statSync(path).size > bytesMax ? '' : readFileSync(path, 'latin1')
  } catch {
    return ''
  }
}
