import type { MoveTerms, OperationWish } from '@holdfast/core'
import { balanceKinds, graceMsDefault, moveTermsDefault, needsNodes } from '@holdfast/core'
import type { FastifyPluginAsync } from 'fastify'
import type { Fields } from '../body.ts'
import { flag, isObject, oneOf, parseFields, text, usage } from '../body.ts'
import { actorOf } from '../caller.ts'
import type { Platform } from '../platform.ts'
import type { ByName } from './deployments.ts'
import { refuseUnknown } from './deployments.ts'

interface ById {
  Params: { name: string; id: string }
}
interface ByNode {
  Params: { name: string; node: string }
}
interface ByShard {
  Params: { name: string; shard: string }
}

const nameMax = 80
const sentenceMax = 500
const usersMax = 50
const graceMsMax = 30 * 86_400_000

const commonFields = ['kind', 'id', 'subject', 'to', 'notBefore', 'surge'] as const
const rotationFields = ['users', 'graceMs', 'closes'] as const
const rebalanceFields = ['by', 'weights', 'terms'] as const
const termsFields = ['mover', 'bytesPerSecond', 'keyBytesMax'] as const
const scaleFields = ['shards', 'acceptEviction'] as const

/** What is asked for once, a pause, and drained nodes: what people do beside editing the spec. */
export const operationRoutes: FastifyPluginAsync<{ platform: Platform }> = async (app, { platform }) => {
  app.post<ByName>('/deployments/:name/operations/preview', async ({ params, body }) => {
    refuseUnknown(platform, params.name)
    return platform.previewOperation(params.name, wishOf(body))
  })

  app.post<ByName>('/deployments/:name/operations', async ({ params, body, caller }, reply) => {
    refuseUnknown(platform, params.name)
    const wish = wishOf(body)
    const actor = actorOf(caller)
    const operation = needsNodes(wish)
      ? await platform.askForNodes(params.name, wish, actor)
      : await platform.askOperation(params.name, wish, actor)
    return reply.code(202).send(operation)
  })

  app.post<ByName>('/deployments/:name/upgrade/preview', async ({ params, body }) => {
    refuseUnknown(platform, params.name)
    return platform.previewUpgrade(params.name, engineOf(parseFields(body, ['engine'])))
  })

  app.post<ByName>('/deployments/:name/upgrade', async ({ params, body, caller }, reply) => {
    refuseUnknown(platform, params.name)
    const fields = parseFields(body, ['id', 'engine', 'surge', 'notBefore'])
    const asked = { id: idOf(fields), engine: engineOf(fields), surge: flag(fields, 'surge') }
    const wish = { ...asked, notBefore: time(fields, 'notBefore') }
    return reply.code(202).send(await platform.upgrade(params.name, wish, actorOf(caller)))
  })

  app.post<ById>('/deployments/:name/operations/:id/cancel', async ({ params, caller }) => {
    refuseUnknown(platform, params.name)
    return platform.cancelOperation(params.name, params.id, actorOf(caller))
  })

  app.post<ByName>('/deployments/:name/pause', async ({ params, body, caller }, reply) => {
    refuseUnknown(platform, params.name)
    const fields = parseFields(body, ['because', 'until'])
    await platform.pause(
      params.name,
      { because: text(fields, 'because', sentenceMax), until: time(fields, 'until') },
      actorOf(caller),
    )
    return reply.code(202).send({ name: params.name, paused: true })
  })

  app.post<ByName>('/deployments/:name/resume', async ({ params, caller }, reply) => {
    refuseUnknown(platform, params.name)
    await platform.resume(params.name, actorOf(caller))
    return reply.code(202).send({ name: params.name, paused: false })
  })

  app.post<ByNode>('/deployments/:name/nodes/:node/drain', async ({ params, body, caller }, reply) => {
    refuseUnknown(platform, params.name)
    const drained = flag(parseFields(body, ['drained']), 'drained')
    await platform.setDrained(params.name, params.node, drained, actorOf(caller))
    return reply.code(202).send({ node: params.node, drained })
  })

  app.post<ByShard>('/deployments/:name/shards/:shard/degrade', async ({ params, body, caller }, reply) => {
    refuseUnknown(platform, params.name)
    const fields = parseFields(body, ['because'])
    const because = (fields['because'] ?? null) === null ? null : text(fields, 'because', sentenceMax)
    await platform.setDegraded(params.name, params.shard, because, actorOf(caller))
    return reply.code(202).send({ shard: params.shard, degraded: because !== null })
  })
}

function wishOf(body: unknown): OperationWish {
  const fields = parseFields(body, [...commonFields, ...rotationFields, ...rebalanceFields, ...scaleFields])
  const kind = oneOf(fields, 'kind', ['switchover', 'restart', 'replace', 'rotate', 'rebalance', 'scale'])
  const id = idOf(fields)
  const to = (fields['to'] ?? null) === null ? null : text(fields, 'to', nameMax)
  const surge = flag(fields, 'surge')
  if (surge && kind !== 'restart') throw usage(`surge: a ${kind} has no use for one more copy`)
  const subject = text(fields, 'subject', nameMax)
  const asked = { kind, id, subject, to, notBefore: time(fields, 'notBefore'), surge }
  if (kind === 'rebalance') return { ...asked, ...rebalanceOf(fields) }
  if (kind === 'scale') return { ...asked, ...scaleOf(fields) }
  return kind === 'rotate' ? { ...asked, ...rotationOf(fields) } : asked
}

function scaleOf(fields: Fields): Pick<OperationWish, 'shards' | 'acceptEviction'> {
  const { shards } = fields
  if (typeof shards !== 'number' || !Number.isSafeInteger(shards) || shards < 1) {
    throw usage('shards: how many there shall be, a whole number from 3 on')
  }
  return { shards, acceptEviction: flag(fields, 'acceptEviction') }
}

function rebalanceOf(fields: Fields): Pick<OperationWish, 'by' | 'weights' | 'terms'> {
  const { weights = {} } = fields
  if (!isObject(weights) || Object.values(weights).some((weight) => typeof weight !== 'number' || !(weight > 0))) {
    throw usage('weights: numbers above 0 by shard, such as { "shard-1": 2 }; a shard that is not named has 1')
  }
  const by = fields['by'] === undefined ? 'slots' : oneOf(fields, 'by', balanceKinds)
  return { by, weights: weights as Record<string, number>, terms: termsOf(fields) }
}

function termsOf(fields: Fields): MoveTerms {
  const terms = parseFields(fields['terms'] ?? {}, termsFields)
  const mover = terms['mover'] === undefined ? moveTermsDefault.mover : oneOf(terms, 'mover', ['best', 'classic'])
  const bytesPerSecond = bytesOf(terms, 'bytesPerSecond') ?? moveTermsDefault.bytesPerSecond
  const keyBytesMax = bytesOf(terms, 'keyBytesMax') ?? moveTermsDefault.keyBytesMax
  return { mover, bytesPerSecond, keyBytesMax }
}

/** Null: not said. */
function bytesOf(fields: Fields, key: string): number | null {
  const value = fields[key] ?? null
  if (value === null || (typeof value === 'number' && Number.isSafeInteger(value) && value > 0)) return value
  throw usage(`${key}: a whole number of bytes above 0`)
}

function rotationOf(fields: Fields): Pick<OperationWish, 'users' | 'graceMs' | 'closes'> {
  const { users, graceMs = graceMsDefault } = fields
  if (!Array.isArray(users) || users.length > usersMax || users.some((one) => typeof one !== 'string')) {
    throw usage(`users: a list of at most ${usersMax} names`)
  }
  if (typeof graceMs !== 'number' || !Number.isSafeInteger(graceMs) || graceMs < 0 || graceMs > graceMsMax) {
    throw usage('graceMs: how long the old password stays valid, 0 to 30 days in ms')
  }
  const closes = fields['closes'] === undefined ? 'older' : oneOf(fields, 'closes', ['older', 'all'])
  return { users: [...new Set(users as string[])], graceMs, closes }
}

function idOf(fields: Fields): string {
  const id = text(fields, 'id', nameMax)
  if (/^[\w-]+$/.test(id)) return id
  throw usage('id: letters, digits, _ and -, chosen by you, so that asking twice asks once')
}

/** The spec's `engine`; what is in it is checked as a part of the spec. */
function engineOf(fields: Fields): Fields {
  const engine = fields['engine']
  if (!isObject(engine)) throw usage('engine: an object, as in the spec')
  return engine
}

/** Ms since 1970, or null. */
function time(fields: Fields, key: string): number | null {
  const value = fields[key] ?? null
  if (value !== null && !(typeof value === 'number' && Number.isSafeInteger(value) && value > 0)) {
    throw usage(`${key}: a time in ms since 1970, or null`)
  }
  return value
}
