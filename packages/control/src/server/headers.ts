import type { FastifyReply, FastifyRequest } from 'fastify'
import { isOverTls } from './over-tls.ts'

const contentSecurityPolicy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "frame-ancestors 'none'",
  "base-uri 'none'",
  "form-action 'self'",
].join('; ')

/** On every answer, errors included: set before anything else looks at the request. */
export async function setSecurityHeaders(request: FastifyRequest, reply: FastifyReply): Promise<void> {
  reply.headers({
    'content-security-policy': contentSecurityPolicy,
    'x-content-type-options': 'nosniff',
    'referrer-policy': 'no-referrer',
    'cross-origin-opener-policy': 'same-origin',
    'cross-origin-resource-policy': 'same-origin',
  })
  if (isApi(request)) reply.header('cache-control', 'no-store')
  if (isOverTls(request)) reply.header('strict-transport-security', 'max-age=31536000')
}

export const isApi = (request: FastifyRequest): boolean => request.url.startsWith('/api/')
