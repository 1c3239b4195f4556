import type { X509Certificate } from 'node:crypto'
import { isIP } from 'node:net'
import { TLSSocket } from 'node:tls'
import { HoldfastError } from '@holdfast/core'
import type { FastifyRequest } from 'fastify'
import { isApi } from './headers.ts'
import { isOverTls } from './over-tls.ts'

const ownNames = ['127.0.0.1', 'localhost', '[::1]']

/**
 * A page elsewhere may point its own name at 127.0.0.1 and then speak to us as "same origin" (DNS rebinding). The
 * browser still sends that name as Host, so only our own names with our own port are answered; over TLS the names that
 * the certificate on this very connection is for.
 */
export function refuseForeignHost(request: FastifyRequest, port: number | undefined): void {
  const { socket } = request.raw
  if (socket instanceof TLSSocket) return refuseUncertified(request.headers.host ?? '', socket.getX509Certificate())
  const ownPort = port ?? request.socket.localPort
  const suffix = ownPort === undefined || ownPort === 80 ? ['', ':80'] : [`:${ownPort}`]
  const host = request.headers.host?.toLowerCase() ?? ''
  if (ownNames.some((name) => suffix.some((end) => host === name + end))) return
  throw new HoldfastError(
    'AUTH_MISDIRECTED',
    `this server answers to 127.0.0.1, localhost and [::1] with its own port, not to the Host it was called by`,
    { allowed: ownNames },
  )
}

function refuseUncertified(host: string, shown: X509Certificate | undefined): void {
  const name = /^\[?([^\]]*?)\]?(?::\d+)?$/.exec(host)?.[1] ?? ''
  if ((isIP(name) === 0 ? shown?.checkHost(name) : shown?.checkIP(name)) !== undefined) return
  throw new HoldfastError('AUTH_MISDIRECTED', 'this server answers to the names in its certificate, not to this Host')
}

/**
 * Another origin must not act with our cookie. SameSite alone does not keep out other ports of localhost, which are
 * the same site. A GET may come without these headers (a typed address, curl); what changes something must prove
 * where it comes from, or carry a token, which no browser adds by itself.
 */
export function refuseForeignOrigin(request: FastifyRequest, hasBearer: boolean): void {
  const safe = request.method === 'GET' || request.method === 'HEAD'
  if (safe && !isApi(request)) return
  const { origin, host } = request.headers
  const site = request.headers['sec-fetch-site']
  if (origin !== undefined) {
    const scheme = isOverTls(request) ? 'https' : 'http'
    if (origin.toLowerCase() === `${scheme}://${host?.toLowerCase()}`) return
  } else if (site !== undefined) {
    if (site === 'same-origin' || (safe && site === 'none')) return
  } else if (safe || hasBearer) return
  throw new HoldfastError('AUTH_FORBIDDEN', 'refused: the request does not come from a page of this server')
}

/**
 * A form or a link cannot set a header of its own, and a script of another origin may not without asking first. So
 * what acts with a cookie carries one, should a browser ever tell less of where a request comes from.
 */
export function refuseWithoutOwnHeader(request: FastifyRequest, hasBearer: boolean): void {
  const safe = request.method === 'GET' || request.method === 'HEAD' || request.method === 'OPTIONS'
  if (safe || hasBearer || request.headers['x-requested-by'] !== undefined) return
  throw new HoldfastError(
    'AUTH_FORBIDDEN',
    'refused: a browser must send the header X-Requested-By: holdfast with this',
  )
}
