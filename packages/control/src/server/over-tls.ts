import { TLSSocket } from 'node:tls'
import type { FastifyRequest } from 'fastify'

/** Whether it came by the door for other machines; else it is from this one, where nothing is encrypted. */
export const isOverTls = (request: FastifyRequest): boolean => request.raw.socket instanceof TLSSocket
