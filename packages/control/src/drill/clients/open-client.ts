import type { ClientKind } from '@holdfast/core'
import { ownCache } from './cache.ts'
import type { DrillClient, Where } from './client.ts'
import { ioredisWithTimeouts, plainIoredis } from './ioredis.ts'

export function openClient(kind: ClientKind, where: Where): DrillClient {
  switch (kind) {
    case 'ioredis':
      return plainIoredis(where)
    case 'ioredis-timeouts':
      return ioredisWithTimeouts(where)
    case 'cache':
      return ownCache(where, { durable: false })
    case 'durable':
      return ownCache(where, { durable: true })
    default:
      return kind satisfies never
  }
}
