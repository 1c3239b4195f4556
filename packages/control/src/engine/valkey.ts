import type { EngineFacts, EngineSeen, InfoFields, NodePlace, OpenSlot } from '@holdfast/core'
import {
  engineVersion,
  HoldfastError,
  infoNumber,
  keyCount,
  parseClusterNodes,
  parseDisk,
  parseInfo,
  parseReplication,
} from '@holdfast/core'
import type { Clock } from '../clock.ts'
import type { EnginePort } from './engine.ts'
import { EngineLink } from './link.ts'

/** How long a look waits for a node that answered last time. */
const deadlineMs = 300
/** How often a node is asked whether it is there, between looks: a freeze must not hide until the next second. */
const heartbeatMs = 200
/** A line on which nothing came for this long is given up for another one. */
const anotherLineMs = 1500
/** A tick this late means that we were not awake, so nobody else's silence proves anything. */
const lateMs = 300

interface Terms {
  readonly username: string
  readonly password: string
  /** Whether they are nodes of a Cluster: others have no view of one, and refuse the question. */
  readonly clustered: boolean
}

/** Reads real engines, one connection each, as the user who may only read. */
export class ValkeyEngines implements EnginePort {
  readonly #clock: Clock
  readonly #terms: Terms
  readonly #readers = new Map<string, Reader>()
  readonly #heartbeat: NodeJS.Timeout
  #listener: () => void = () => {}
  #lastBeat: number

  constructor(clock: Clock, terms: Terms) {
    this.#clock = clock
    this.#terms = terms
    this.#lastBeat = clock.now()
    this.#heartbeat = setInterval(() => this.#beat(), heartbeatMs)
    this.#heartbeat.unref()
  }

  async look(nodes: readonly NodePlace[], signal: AbortSignal): Promise<ReadonlyMap<string, EngineSeen>> {
    const readers = nodes.map((node) => this.#readerOf(node))
    const enough = new AbortController()
    const deadline = this.#clock.sleep(deadlineMs, AbortSignal.any([signal, enough.signal]))
    await Promise.race([Promise.all(readers.map((reader) => reader.read())), deadline])
    enough.abort()
    // A look that was broken off has seen nothing: the questions are still on their way.
    if (signal.aborted) return new Map()
    return new Map(readers.map((reader) => [reader.id, reader.seen]))
  }

  onChange(listener: () => void): void {
    this.#listener = listener
  }

  close(): void {
    clearInterval(this.#heartbeat)
    for (const reader of this.#readers.values()) reader.close()
    this.#readers.clear()
  }

  #readerOf(node: NodePlace): Reader {
    const known = this.#readers.get(node.id)
    if (known !== undefined) return known
    const reader = new Reader(node, this.#terms, this.#clock, () => this.#listener())
    this.#readers.set(node.id, reader)
    return reader
  }

  #beat(): void {
    const now = this.#clock.now()
    const late = now - this.#lastBeat > heartbeatMs + lateMs
    this.#lastBeat = now
    for (const reader of this.#readers.values()) {
      if (late) reader.excuseSilence()
      void reader.ping()
    }
  }
}

/** A connection, and when each question on it that is still without an answer was asked; an engine answers in order. */
interface Line {
  readonly link: EngineLink
  owed: number[]
}

/** What one node last said, and since when it owes an answer. */
class Reader {
  readonly id: string
  readonly #clock: Clock
  readonly #clustered: boolean
  readonly #dial: () => Line
  readonly #onChange: () => void
  #line: Line
  #last: EngineSeen = { kind: 'unknown' }
  /** Since when it is silent, over all lines that were tried. */
  #silentSince: number | null = null
  /** Whether a turn was told that this node is silent, so that its answer is news. */
  #missed = false

  constructor(node: NodePlace, { clustered, ...credentials }: Terms, clock: Clock, onChange: () => void) {
    const target = { ...credentials, address: node.address, port: node.port, name: 'holdfast-probe' }
    this.#clustered = clustered
    this.id = node.id
    this.#clock = clock
    this.#onChange = onChange
    this.#dial = () => ({ link: new EngineLink(target, onChange), owed: [] })
    this.#line = this.#dial()
  }

  get seen(): EngineSeen {
    const since = this.#line.owed[0]
    if (since === undefined) return this.#last
    this.#missed = true
    this.#silentSince ??= since
    return { kind: 'silent', since: this.#silentSince }
  }

  /** Reads all there is to know; where a turn already knows that the node is silent, it only waits on. */
  async read(): Promise<void> {
    const askedAt = this.#line.owed[0]
    if (this.#missed && askedAt !== undefined) {
      if (this.#clock.now() - askedAt < anotherLineMs) return
      // Whatever took this line may not be the engine at all: another one may find it.
      this.close()
      this.#line = this.#dial()
    }
    await this.#ask(async (link) => {
      const facts = await (this.#clustered ? readFactsOfClustered(link) : readFacts(link))
      return { kind: 'answered', at: this.#clock.now(), facts }
    })
  }

  /** Asks the cheapest question, if none is open: a freeze must not hide until the next look. */
  async ping(): Promise<void> {
    if (this.#line.owed.length > 0 || this.#last.kind !== 'answered') return
    await this.#ask(async (link) => {
      await link.command(['PING'], null)
      return this.#last
    })
  }

  /** We were not awake: what looked like silence starts to count only now. */
  excuseSilence(): void {
    const now = this.#clock.now()
    if (this.#silentSince !== null) this.#silentSince = now
    this.#line.owed = this.#line.owed.map(() => now)
  }

  close(): void {
    this.#line.link.close()
  }

  async #ask(question: (link: EngineLink) => Promise<EngineSeen>): Promise<void> {
    const line = this.#line
    line.owed.push(this.#clock.now())
    const answer = await question(line.link).catch((error: unknown) => describeFailure(error, this.#clock.now()))
    line.owed.shift()
    // What comes of a line that was given up says nothing about the engine.
    if (line !== this.#line) return
    this.#last = answer
    this.#silentSince = null
    if (this.#missed && line.owed.length === 0) {
      this.#missed = false
      this.#onChange()
    }
  }
}

async function readFacts(link: EngineLink): Promise<EngineFacts> {
  const info = parseInfo(String(await link.command(['INFO'], null)))
  return { ...readInfo(info), engineId: '', clusterOk: false, view: { me: '', entries: [], open: [] } }
}

async function readFactsOfClustered(link: EngineLink): Promise<EngineFacts> {
  const [infoText, clusterText, nodesText] = await link.pipeline(
    [['INFO'], ['CLUSTER', 'INFO'], ['CLUSTER', 'NODES']],
    null,
  )
  const view = parseClusterNodes(String(nodesText))
  return {
    ...readInfo(parseInfo(String(infoText))),
    engineId: view.me,
    clusterOk: parseInfo(String(clusterText)).get('cluster_state') === 'ok',
    view: view.open.length === 0 ? view : { ...view, open: await countKeys(link, view.open) },
  }
}

function readInfo(info: InfoFields): Omit<EngineFacts, 'engineId' | 'clusterOk' | 'view'> {
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

/** LOADING and BUSY are answers of a living engine; everything else is a door that did not open. */
function describeFailure(error: unknown, at: number): EngineSeen {
  const { said } = error instanceof HoldfastError ? error.facts : { said: error }
  if (typeof said !== 'string') return { kind: 'refused', at, reason: String(error) }
  if (said.startsWith('LOADING')) return { kind: 'loading', at }
  if (said.startsWith('BUSY')) return { kind: 'busy', at }
  return { kind: 'refused', at, reason: said }
}
