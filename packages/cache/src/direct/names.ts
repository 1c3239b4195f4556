import { CacheError } from '../errors.ts'

/** The names of one tag's keys in the engine. All hold the same hash tag, so they share a slot and may stand in one transaction. */
export interface TagNames {
  readonly tag: string
  /** The key as the engine has it, for commands as they are and for other clients. */
  key(name: string): string
  /** Where the outcome of an operation is remembered. */
  operationKey(operation: string): string
  /** Those of the arguments that are keys of this tag. */
  keysAmong(args: readonly unknown[]): readonly string[]
}

const longestName = 1024
const operationWord = 'op:'

/** `prefix` is what all keys of calls without a source begin with; it holds no brace, so that the tag is the first. */
export function tagNames(prefix: string, tag: string): TagNames {
  if (typeof tag !== 'string' || !/^\{[^{}]+\}$/.test(tag) || Buffer.byteLength(tag) > 256) {
    throw new CacheError(
      'INVALID',
      "a tag is a word in braces of at most 256 bytes, such as cache.on('{user:1}'): its keys share a slot",
      { what: 'tag' },
    )
  }
  const start = `${prefix}${tag}:`
  return {
    tag,
    key(name) {
      checkName(name, start)
      return start + name
    },
    operationKey: (operation) => `${start}${operationWord}${operation}`,
    keysAmong: (args) => args.filter((arg): arg is string => typeof arg === 'string' && arg.startsWith(start)),
  }
}

function checkName(name: string, start: string): void {
  if (typeof name !== 'string' || name === '' || Buffer.byteLength(name) > longestName || /\p{Cs}/u.test(name)) {
    throw new CacheError('INVALID', `the name of a key is a string of 1 to ${longestName} bytes`, { what: 'name' })
  }
  if (name.startsWith(operationWord)) {
    throw new CacheError('INVALID', `names that begin with ${operationWord} are kept for operation ids`, {
      what: 'name',
    })
  }
  if (name.startsWith(start)) {
    throw new CacheError('INVALID', 'this is a whole key already: where a name is wanted, say it without key()', {
      what: 'name',
    })
  }
}

/** An operation id of the caller's, or a word that it has none. */
export function checkOperation(operation: string): string {
  if (typeof operation !== 'string' || operation === '' || Buffer.byteLength(operation) > 256) {
    throw new CacheError(
      'INVALID',
      'an operation id is a string of 1 to 256 bytes, the same for every try of one write',
      {
        what: 'operation',
      },
    )
  }
  return operation
}
