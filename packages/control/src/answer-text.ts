import type { IncomingMessage } from 'node:http'
import type { ErrorCode } from '@holdfast/core'
import { errorTable, HoldfastError } from '@holdfast/core'

const bytesMax = 64 * 1024 ** 2

export const textOf = async (answer: IncomingMessage): Promise<string> => (await bytesOf(answer)).toString('utf8')

/** The whole of an answer. Throws where it is larger than anything that is waited for. */
export async function bytesOf(answer: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > bytesMax) throw new Error(`an answer of more than ${bytesMax} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

/** The error that was answered, as it was thrown there; undefined where it is none that is known here. */
export function answeredError(body: unknown): HoldfastError | undefined {
  const { error } = (body ?? {}) as { error?: { code?: string; message?: string; facts?: Record<string, unknown> } }
  if (error?.code === undefined || !Object.hasOwn(errorTable, error.code)) return undefined
  return new HoldfastError(error.code as ErrorCode, error.message ?? error.code, error.facts ?? {})
}
