import { lookup } from 'node:dns/promises'
import type { Adoption, Document, Endpoint, ForeignAddress, NodeSeen, SentinelSeen } from '@holdfast/core'
import { addressOf, HoldfastError } from '@holdfast/core'
import type { Clock } from '../clock.ts'
import { askKind, isTurnedAway } from '../engine/foreign.ts'
import type { Reach } from '../engine/reach.ts'
import { isAddress } from '../engine/reach.ts'
import { ForeignLook } from './look.ts'

export interface AdoptTerms {
  readonly name: string
  readonly by: string
  readonly clock: Clock
  readonly reach: Reach
  /** The wish of a caller of the API. */
  readonly guarded: boolean
}

/** Finds out what answers there, and who belongs to it. Throws what the first who does not let us in says. */
export async function discover(address: ForeignAddress, terms: AdoptTerms): Promise<Adoption> {
  const { name, by, clock, reach, guarded } = terms
  const within = guarded ? { reach } : {}
  if (guarded) await refuseInside(address.seeds, reach)
  const topology = address.topology === 'sentinel' ? 'sentinel' : await topologyOf(address, within)
  const { masterName, seeds, user, sentinelUser, secrets } = address
  const at = Math.round(clock.wall())
  const asked = { masterName, seeds, user, sentinelUser, secrets, nodes: [], sentinels: [], at, by }
  const known = { apiVersion: 1, name, topology, ...asked, ...(guarded ? { guarded } : {}) } as const
  const look = new ForeignLook(clock, known, reach)
  try {
    const { adoption, observed } = await look.look(known)
    const { nodes, sentinels = [] } = observed
    refuseUnwatched(sentinels, masterName)
    if (!nodes.some(({ engine }) => engine.kind === 'answered')) throw noAnswer([...sentinels, ...nodes])
    return adoption
  } finally {
    look.close()
  }
}

/** Before anything is connected to, so that what was asked for is refused in plain words. */
async function refuseInside(seeds: readonly Endpoint[], reach: Reach): Promise<void> {
  for (const { address } of seeds) {
    if (isAddress(address)) reach.refuse(address)
    else
      await new Promise<void>((resolve, reject) => {
        reach.lookup(address, { all: true }, (error) => {
          // A name that is not known leads nowhere: what connects to it says so.
          if (error instanceof HoldfastError) reject(error)
          else resolve()
        })
      })
  }
}

/** As whoever answers first says; an address that says otherwise is refused. */
async function topologyOf(
  { topology, seeds, user, secrets }: ForeignAddress,
  within: { readonly reach?: Reach },
): Promise<Adoption['topology']> {
  let failure: unknown
  for (const seed of seeds) {
    try {
      const kind = await askKind(seed, { username: user, password: secrets.engine, ...within })
      if (kind === 'sentinel') {
        throw new HoldfastError(
          'USAGE',
          `${addressOf(seed)} is a Sentinel: adopt holdfast+sentinel://USER:PASSWORD@${addressOf(seed)}/NAME, with the name that it has for the primary`,
        )
      }
      if (topology !== null && kind !== topology) {
        throw new HoldfastError('USAGE', `${addressOf(seed)} is not ${topology}, but ${kind}: adopt it as that`)
      }
      return kind
    } catch (error) {
      if (error instanceof HoldfastError && error.code === 'USAGE') throw error
      failure ??= error
    }
  }
  throw failure
}

function refuseUnwatched(asked: readonly SentinelSeen[], masterName: string | null): void {
  const told = asked.flatMap(({ engine }) => (engine.kind === 'answered' ? [engine.facts.watch] : []))
  if (told.length === 0 || told.some((watch) => watch !== null)) return
  throw new HoldfastError(
    'NOT_FOUND',
    `the Sentinels know no primary called ${masterName}: "SENTINEL MASTERS" tells which they know. Nothing was adopted.`,
  )
}

function noAnswer(asked: readonly (NodeSeen | SentinelSeen)[]): HoldfastError {
  const said = asked.flatMap(({ id, engine }) => (engine.kind === 'refused' ? [{ id, reason: engine.reason }] : []))
  const { id = '', reason = 'nobody answered in time' } = said[0] ?? {}
  const code = isTurnedAway(reason) ? 'ENGINE_REFUSED' : 'UNREACHABLE_ENGINE'
  return new HoldfastError(code, `nothing was adopted: ${id === '' ? '' : `${id}: `}${reason}`, {
    where: id,
    said: reason,
  })
}

/** Refuses what is ours, or adopted already: by the same address, however it is written. */
export async function refuseKnown(
  found: Adoption,
  ours: readonly Document[],
  adopted: readonly Adoption[],
): Promise<void> {
  const mine = new Set(await Promise.all(endpointsOf(found).map(canonical)))
  for (const document of ours) {
    const theirs = await Promise.all([...document.nodes, ...(document.sentinels ?? [])].map(canonical))
    if (!theirs.some((one) => mine.has(one))) continue
    throw new HoldfastError(
      'REFUSED_UNSAFE',
      `that is ${document.name}, which Holdfast runs: "holdfast status ${document.name}" shows it. Nothing was adopted.`,
      { name: document.name },
    )
  }
  for (const other of adopted) {
    const theirs = await Promise.all(other.nodes.map(canonical))
    if (!theirs.some((one) => mine.has(one))) continue
    throw new HoldfastError('REFUSED_UNSAFE', `that is adopted already, as ${other.name}. Nothing was adopted.`, {
      name: other.name,
    })
  }
}

const endpointsOf = ({ nodes, sentinels, seeds, topology }: Adoption): readonly Endpoint[] =>
  topology === 'sentinel' ? [...nodes, ...sentinels] : [...nodes, ...seeds]

async function canonical({ address, port }: Endpoint): Promise<string> {
  const found = await lookup(address).catch(() => ({ address }))
  const isHere = /^(127\.|::1$|0\.0\.0\.0$|::$)/.test(found.address)
  return `${isHere ? '127.0.0.1' : found.address}:${port}`
}
