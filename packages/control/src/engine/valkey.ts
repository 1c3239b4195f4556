import type { EngineFacts, EngineSeen, InfoFields, NodePlace, OpenSlot } from '@holdfast/core'
import {
  engineVersion,
  infoNumber,
  keyCount,
  parseClusterNodes,
  parseDisk,
  parseInfo,
  parseLoad,
  parseReplication,
} from '@holdfast/core'
import type { Clock } from '../clock.ts'
import type { EnginePort } from './engine.ts'
import type { EngineLink } from './link.ts'
import type { Credentials } from './reader.ts'
import { Reader, Readers } from './reader.ts'

interface Terms extends Credentials {
  /** Whether they are nodes of a Cluster: others have no view of one, and refuse the question. */
  readonly clustered: boolean
}

/** Reads real engines, one connection each, as the user who may only read. */
export class ValkeyEngines implements EnginePort {
  readonly #readers: Readers<EngineFacts>

  constructor(clock: Clock, { clustered, ...credentials }: Terms) {
    const readAll = clustered ? readFactsOfClustered : readFacts
    this.#readers = new Readers(
      clock,
      (place, onChange) => new Reader({ place, credentials, clock, readFacts: readAll, onChange }),
    )
  }

  look(nodes: readonly NodePlace[], signal: AbortSignal): Promise<ReadonlyMap<string, EngineSeen>> {
    return this.#readers.look(nodes, signal)
  }

  onChange(listener: () => void): void {
    this.#readers.onChange(listener)
  }

  close(): void {
    this.#readers.close()
  }
}

async function readFacts(link: EngineLink): Promise<EngineFacts> {
  const info = parseInfo(String(await link.command(['INFO'], null)))
  return { ...readOwn(info), engineId: '', clusterOk: false, view: { me: '', entries: [], open: [] } }
}

async function readFactsOfClustered(link: EngineLink): Promise<EngineFacts> {
  const [infoText, clusterText, nodesText] = await link.pipeline(
    [['INFO'], ['CLUSTER', 'INFO'], ['CLUSTER', 'NODES']],
    null,
  )
  const view = parseClusterNodes(String(nodesText))
  return {
    ...readOwn(parseInfo(String(infoText))),
    engineId: view.me,
    clusterOk: parseInfo(String(clusterText)).get('cluster_state') === 'ok',
    view: view.open.length === 0 ? view : { ...view, open: await countKeys(link, view.open) },
  }
}

/** What an engine of ours says of itself; one that somebody else runs is not asked for its load. */
const readOwn = (info: InfoFields) => ({ ...readInfo(info), load: parseLoad(info) })

/** What an engine says of itself by INFO alone. */
export function readInfo(info: InfoFields): Omit<EngineFacts, 'engineId' | 'clusterOk' | 'view'> {
  return {
    ...parseReplication(info),
    version: engineVersion(info),
    disk: parseDisk(info),
    memoryBytes: infoNumber(info, 'used_memory'),
    memoryMaxBytes: infoNumber(info, 'maxmemory'),
    opsPerSecond: infoNumber(info, 'instantaneous_ops_per_sec'),
    clients: infoNumber(info, 'connected_clients'),
    keys: keyCount(info),
    uptimeSeconds: infoNumber(info, 'uptime_in_seconds'),
  }
}

/** Open slots are rare, so their keys are counted only then. */
async function countKeys(link: EngineLink, open: readonly OpenSlot[]): Promise<OpenSlot[]> {
  const counts = await link.pipeline(
    open.map(({ slot }) => ['CLUSTER', 'COUNTKEYSINSLOT', String(slot)]),
    null,
  )
  return open.map((slot, index) => ({ ...slot, keys: Number(counts[index]) }))
}
