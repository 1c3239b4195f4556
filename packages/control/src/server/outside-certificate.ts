/** The certificate that other machines see: of the home's own authority, or the owner's, read again when it changes. */
import { createPrivateKey, X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { HoldfastError } from '@holdfast/core'
import type { FastifyBaseLogger } from 'fastify'
import type { Clock } from '../clock.ts'
import type { KeyPair } from '../pki/certificate.ts'
import { RenewedCredentials } from '../pki/renewed-credentials.ts'
import type { OutsidePlace } from './outside-place.ts'

type Files = NonNullable<OutsidePlace['files']>

const lookEveryMs = 10_000
const sayAgainMs = 24 * 3_600_000
const warnBeforeMs = 14 * 24 * 3_600_000

/**
 * The owner's files. What is put in their place is shown from then on, to connections that are new; where it cannot be
 * used, the former goes on, and the log says why. Throws USAGE where they cannot be used at the start.
 */
export function suppliedCertificate(files: Files, clock: Clock, log: FastifyBaseLogger): RenewedCredentials<KeyPair> {
  const held = new RenewedCredentials(readPair(files))
  let said: { readonly what: string; readonly at: number } | undefined
  const say = (what: string): void => {
    if (said?.what === what && clock.now() - said.at < sayAgainMs) return
    said = { what, at: clock.now() }
    log.warn(what)
  }
  const timer = setInterval(() => {
    try {
      const fresh = readPair(files)
      if (fresh.certificate !== held.now.certificate) held.replace(fresh)
    } catch (error) {
      say(error instanceof Error ? error.message : String(error))
    }
    const { validTo } = new X509Certificate(held.now.certificate)
    if (Date.parse(validTo) - clock.wall() < warnBeforeMs) {
      say(`${files.certificate} ends on ${validTo}: put its successor in its place, it is shown without a restart`)
    }
  }, lookEveryMs)
  timer.unref()
  held.onClose(() => clearInterval(timer))
  return held
}

function readPair(files: Files): KeyPair {
  const [certificate, key] = [readOf(files.certificate), readOf(files.key)]
  const shown = parsed(`${files.certificate} is no certificate (PEM)`, () => new X509Certificate(certificate))
  const secret = parsed(`${files.key} is no private key without a passphrase (PEM)`, () => createPrivateKey(key))
  if (!shown.checkPrivateKey(secret))
    throw new HoldfastError('USAGE', `${files.key} is not the key of ${files.certificate}`)
  return { certificate, key }
}

function readOf(path: string): string {
  return parsed(`${path} cannot be read`, () => readFileSync(path, 'utf8'))
}

function parsed<T>(sentence: string, read: () => T): T {
  try {
    return read()
  } catch (error) {
    throw new HoldfastError('USAGE', `the certificate of the panel: ${sentence}`, {}, error)
  }
}
