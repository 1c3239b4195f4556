import { errorTable, HoldfastError, hideSecrets } from '@holdfast/core'
import type { FastifyReply, FastifyRequest } from 'fastify'

/** Every error of the API has this shape. */
interface ErrorBody {
  readonly error: { readonly code: string; readonly message: string; readonly facts: Readonly<Record<string, unknown>> }
}

const body = (code: string, message: string, facts: ErrorBody['error']['facts'] = {}): ErrorBody => ({
  error: { code, message: hideSecrets(message), facts: withoutSecrets(facts) },
})

const withoutSecrets = (facts: ErrorBody['error']['facts']): ErrorBody['error']['facts'] =>
  JSON.parse(hideSecrets(JSON.stringify(facts))) as ErrorBody['error']['facts']

export function answerError(error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  if (error instanceof HoldfastError) {
    const { retryAfterS } = error.facts
    if (typeof retryAfterS === 'number') reply.header('retry-after', String(retryAfterS))
    const { status } = errorTable[error.code]
    request.refusal = error.code
    if (status >= 500) request.log.warn({ err: error, url: request.url }, 'a request could not be served')
    return reply.code(status).send(body(error.code, error.message, error.facts))
  }
  const status = badRequestStatus(error)
  request.refusal = status === undefined ? 'INTERNAL' : 'USAGE'
  if (status !== undefined) return reply.code(status).send(body('USAGE', usageMessage(status)))
  request.log.error({ err: error, method: request.method, url: request.url }, 'a request failed unexpectedly')
  return reply.code(500).send(body('INTERNAL', 'something went wrong inside Holdfast: its log has the reason'))
}

export function answerNotFound(request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const path = request.url.split('?', 1)[0] ?? ''
  return reply.code(404).send(body('NOT_FOUND', `there is no ${request.method} ${path}`))
}

/** The status of what the HTTP layer itself refused: a body too large, not JSON, not what it says it is. */
function badRequestStatus(error: unknown): number | undefined {
  const status = error instanceof Error && 'statusCode' in error ? error.statusCode : undefined
  return typeof status === 'number' && status >= 400 && status < 500 ? status : undefined
}

function usageMessage(status: number): string {
  if (status === 413) return 'the body is larger than 256 KB'
  if (status === 415) return 'send a JSON body with content-type: application/json'
  return 'the request cannot be read: send one well-formed JSON object, without __proto__ or constructor keys'
}
