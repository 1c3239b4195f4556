/** From what a person wrote to what is wanted. */
import type { z } from 'zod'
import { isDurable } from './durability.ts'
import { HoldfastError } from './error.ts'
import type { EvictionPolicy } from './memory-fit.ts'
import { policyFor } from './memory-fit.ts'
import type { SpecText } from './spec.ts'
import { Spec } from './spec.ts'
import type { Problem } from './spec-problems.ts'
import { checkSpec } from './spec-problems.ts'

/**
 * The wanted state, checked. Throws SPEC_INVALID (with every problem and its path) for what is wrong and
 * SPEC_UNSUPPORTED for what is right but not built yet: neither is ever ignored.
 */
export function parseSpec(input: unknown): Spec {
  const spec = parseWish(input)
  const missing = notSupportedYet(input as SpecText, spec)
  if (missing.length > 0) throw specError('SPEC_UNSUPPORTED', missing)
  return spec
}

/** The same, and what is not built yet may be in it: for trying out what would come of it. Throws SPEC_INVALID. */
export function parseWish(input: unknown): Spec {
  const parsed = Spec.safeParse(withShape(input))
  if (!parsed.success) {
    throw specError('SPEC_INVALID', parsed.error.issues.flatMap(describeIssue))
  }
  const spec = withBackup(withPolicy(parsed.data, input as SpecText), input as SpecText)
  const contradictions = checkSpec(spec)
  if (contradictions.length > 0) throw specError('SPEC_INVALID', contradictions)
  return spec
}

/** The default of one field hangs on others: only a cache that may lose writes evicts without being asked to. */
function withPolicy(spec: Spec, input: SpecText): Spec {
  const written = input['memory'] as { policy?: EvictionPolicy } | undefined
  if (written?.policy !== undefined) return spec
  const policy = isDurable(spec) ? 'noeviction' : policyFor(spec.use)
  return { ...spec, memory: { ...spec.memory, policy } }
}

/** What is on no disk by the wish of its owner is put on none by ours. */
function withBackup(spec: Spec, { backup }: SpecText): Spec {
  return backup === undefined && spec.persistence === 'none' ? { ...spec, backup: 'off' } : spec
}

/** What a topology has only one of need not be written down. */
function withShape(input: unknown): unknown {
  if (typeof input !== 'object' || input === null || !('topology' in input)) return input
  if (input.topology === 'standalone') return { shards: 1, replicasPerShard: 0, ...input }
  return input.topology === 'sentinel' ? { shards: 1, ...input } : input
}

/** Fields of the contract that this version does not act on. Written down by a person, each is refused. */
function notSupportedYet(input: SpecText, spec: Spec): Problem[] {
  const later: [path: string, asked: boolean][] = [
    ['notify', spec.notify.length > 0],
    ['sentinel', 'sentinel' in input && spec.topology !== 'sentinel'],
    ['alerts', 'alerts' in input],
  ]
  return later.filter(([, asked]) => asked).map(([path]) => ({ path, message: 'not supported yet: remove it' }))
}

function describeIssue(issue: z.core.$ZodIssue): Problem[] {
  const path = issue.path.join('.')
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({
      path: path === '' ? key : `${path}.${key}`,
      message: `unknown key; ${nearestKey(key)}`,
    }))
  }
  const inside = issue.code === 'invalid_union' ? meantBranch(issue) : []
  if (inside.length > 0) return inside.flatMap(describeIssue)
  return [{ path: path === '' ? '(the whole spec)' : path, message: issue.message }]
}

/** Of several forms the one that was meant is the one in which only something further in is wrong. */
function meantBranch({ path, errors }: z.core.$ZodIssueInvalidUnion): z.core.$ZodIssue[] {
  const meant = errors.find((issues) => issues.length > 0 && issues.every((issue) => issue.path.length > 0)) ?? []
  return meant.map((issue) => ({ ...issue, path: [...path, ...issue.path] }))
}

function nearestKey(key: string): string {
  const known = Object.keys(Spec.shape)
  const near = known.find((name) => name.startsWith(key) || key.startsWith(name) || sameLetters(name, key))
  return near === undefined ? 'see docs/spec.md for all keys' : `did you mean "${near}"?`
}

const sameLetters = (a: string, b: string): boolean =>
  a.toLowerCase().split('').sort().join() === b.toLowerCase().split('').sort().join()

function specError(code: 'SPEC_INVALID' | 'SPEC_UNSUPPORTED', problems: readonly Problem[]): HoldfastError {
  return new HoldfastError(code, problems.map(({ path, message }) => `${path}: ${message}`).join('\n'), { problems })
}
