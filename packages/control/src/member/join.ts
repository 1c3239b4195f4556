/** How a machine joins a home, and comes back for its next certificate. Its key is made here and stays here. */
import type { IncomingMessage } from 'node:http'
import { request } from 'node:https'
import type { PeerCertificate } from 'node:tls'
import { HoldfastError } from '@holdfast/core'
import type { JoinAnswered, JoinAsked, RenewAsked } from '../agent/join-door.ts'
import { refusalOf, secureTerms } from '../agent/mutual-tls.ts'
import { answeredError, textOf } from '../answer-text.ts'
import type { JoinToken } from '../hosts/token.ts'
import { fingerprintOf, renewAt } from '../pki/certificate.ts'
import type { Membership } from './membership.ts'

const answerWithinMs = 10_000

/** Where this machine's agent listens, and keeps the directories of engines. */
export interface Where {
  readonly address: string
  readonly port: number
  readonly deployments: string
}

/** Joins by a token. Throws AUTH_* for one that is not good, UNREACHABLE_CONTROLLER where nobody answers. */
export async function joinHome(token: JoinToken, where: Where): Promise<Membership> {
  const authority = await authorityOf(token)
  const { createRequest } = await import('../pki/authority.ts')
  const { key, request: wanted } = await createRequest()
  const body: JoinAsked = { host: token.host, secret: token.secret, request: wanted, ...where }
  const answer = (await ofAny(token.urls, (url) => ask(new URL('/v1/join', url), { authority, body }))) as JoinAnswered
  const { address, port } = where
  return {
    host: token.host,
    address,
    port,
    doors: answer.doors,
    authority,
    certificate: answer.certificate ?? '',
    key,
  }
}

/** Tells the home where this machine is now, and asks for the next certificate where it is time for that. */
export async function renewMembership(old: Membership, where: Where, now: number): Promise<Membership> {
  const isDue = now >= renewAt(old.certificate) || old.address !== where.address
  // The library that makes requests is large, and seldom needed.
  const asked = isDue ? await (await import('../pki/authority.ts')).createRequest() : undefined
  const body: RenewAsked = { ...where, request: asked?.request }
  const { authority } = old
  const answer = (await ofAny(old.doors, (url) =>
    ask(new URL('/v1/renew', url), { authority, body, shows: old }),
  )) as JoinAnswered
  const { address, port } = where
  const fresh =
    asked === undefined || answer.certificate === null ? old : { key: asked.key, certificate: answer.certificate }
  return { ...old, address, port, doors: answer.doors, key: fresh.key, certificate: fresh.certificate }
}

/** The certificate of the authority, known by its fingerprint: until then nothing is said to whoever listens there. */
async function authorityOf(token: JoinToken): Promise<string> {
  const answer = await ofAny(token.urls, (url) => ask(new URL('/v1/authority', url), {}))
  const { authority } = answer as { authority?: unknown }
  if (typeof authority === 'string' && fingerprintOf(authority) === token.authority) return authority
  throw new HoldfastError(
    'AUTH_FORBIDDEN',
    `whoever listens at ${token.urls.join(', ')} is not the home that this token is of: nothing was told to it`,
    { urls: token.urls },
  )
}

/** The first that answers, whatever it says. */
async function ofAny(urls: readonly string[], work: (url: string) => Promise<unknown>): Promise<unknown> {
  let last: unknown
  for (const url of urls) {
    try {
      return await work(url)
    } catch (error) {
      if (!(error instanceof HoldfastError) || error.code !== 'UNREACHABLE_CONTROLLER') throw error
      last = error
    }
  }
  throw last
}

interface Asked {
  /** Who may answer; without it anybody may, and is told nothing. */
  readonly authority?: string
  readonly body?: unknown
  readonly shows?: Membership
}

async function ask(url: URL, { authority, body, shows }: Asked): Promise<unknown> {
  const trust =
    authority === undefined
      ? { rejectUnauthorized: false }
      : {
          ...(shows === undefined ? {} : secureTerms(shows)),
          ca: authority,
          checkServerIdentity: (_name: string, { subjectaltname }: PeerCertificate) =>
            refusalOf(subjectaltname, 'controller'),
        }
  const text = body === undefined ? undefined : JSON.stringify(body)
  try {
    const answer = await new Promise<IncomingMessage>((resolve, reject) => {
      const asked = request(
        url,
        {
          method: text === undefined ? 'GET' : 'POST',
          headers: text === undefined ? {} : { 'content-type': 'application/json' },
          signal: AbortSignal.timeout(answerWithinMs),
          agent: false,
          ...trust,
        },
        resolve,
      )
      asked.once('error', reject)
      asked.end(text)
    })
    const read: unknown = JSON.parse(await textOf(answer))
    if (answer.statusCode === 200) return read
    throw answeredError(read) ?? new Error(`status ${answer.statusCode}`)
  } catch (error) {
    if (error instanceof HoldfastError) throw error
    const because = error instanceof Error ? error.message : String(error)
    throw new HoldfastError(
      'UNREACHABLE_CONTROLLER',
      `the door of the controller at ${url.origin} does not answer: ${because}. Is "holdfast serve --address" running there, and may this machine reach it?`,
      { url: url.origin },
      error,
    )
  }
}
