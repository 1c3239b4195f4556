import { closeSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import type { ClosingSeen, FailoverAsked, Fence, JobSeen, NodeRecord, StartHistory } from '@holdfast/core'
import { bootId } from '../proc.ts'

/**
 * What an agent must not forget, beside the data directories and not in them, so that it outlives a wiped one: the
 * highest epoch it has obeyed, which process is which node, what each copy last was.
 */
interface DeploymentMemory {
  nodes: Record<string, NodeMemory>
}

export interface NodeMemory {
  process: { pid: number; startTime: number } | null
  record: NodeRecord | null
  starts: StartHistory
  fencedAt: number | null
  /** It takes no writes since this host was alone; `before` is what its write guard was. Absent or null: it may. */
  fence?: (Fence & { readonly before: string }) | null
  failoverAsked: FailoverAsked | null
  /** When a Sentinel was last told to forget whom it knows. */
  resetAt?: number
  /** A digest of the engine's users right after it loaded them. */
  usersDigest: string | null
  /** The directives that the process was started with or given since, without secrets; null: nobody knows. */
  given?: Record<string, string> | null
  saveAskedAt?: number | null
  /** When this process was given another password to sign in with, and when it was told to link anew. */
  signInGivenAt?: number | null
  linkRenewedAt?: number | null
  /** What the last closing of old sessions found. */
  closing?: ClosingSeen | null
  /** The last long works of this node, by when they began. Absent in what an earlier version wrote. */
  jobs?: JobSeen[]
}

export const blankNode = (): NodeMemory => ({
  process: null,
  record: null,
  starts: { failures: 0, lastAt: null, lastError: null },
  fencedAt: null,
  fence: null,
  failoverAsked: null,
  usersDigest: null,
  given: null,
  saveAskedAt: null,
})

export class AgentMemory {
  readonly #directory: string
  readonly #boot = bootId()
  readonly #known = new Map<string, DeploymentMemory>()
  /** The epoch that this agent itself last obeyed; another controller's agent on this machine may be ahead. */
  readonly #obeyed = new Map<string, number>()
  /** The file of each deployment as it was when it was read. */
  readonly #texts = new Map<string, string | undefined>()

  constructor(directory: string) {
    this.#directory = directory
  }

  node(deployment: string, node: string): NodeMemory {
    let memory = this.#known.get(deployment)
    if (memory === undefined) {
      memory = this.#read(deployment)
      this.#known.set(deployment, memory)
    }
    memory.nodes[node] ??= blankNode()
    return memory.nodes[node]
  }

  /** The highest epoch that any agent of this machine has obeyed. Read from disk each time: that is the point. */
  epoch(deployment: string): number {
    return Number(readText(join(this.#directory, `${deployment}.epoch`)) ?? 0)
  }

  /** Obeys an epoch from now on; on disk before this returns. */
  obey(deployment: string, epoch: number): void {
    if (this.#obeyed.get(deployment) === epoch) return
    if (this.epoch(deployment) < epoch) this.#write(`${deployment}.epoch`, String(epoch), true)
    // Whoever acted before may have started and stopped engines that this agent has never heard of.
    this.#known.delete(deployment)
    this.#obeyed.set(deployment, epoch)
  }

  /**
   * `durable` waits for the disk: for what must be true after a power failure. An agent whose epoch is over writes
   * nothing: it would undo what the newer one knows, and reads that instead. One that has just come has obeyed nobody
   * yet either; what it has seen itself it keeps as long as nobody else has written.
   */
  save(deployment: string, durable: boolean): void {
    if (this.epoch(deployment) > (this.#obeyed.get(deployment) ?? 0)) {
      const text = readText(join(this.#directory, `${deployment}.json`))
      if (text !== this.#texts.get(deployment)) this.#known.delete(deployment)
      return
    }
    const memory = { boot: this.#boot, ...(this.#known.get(deployment) ?? { nodes: {} }) }
    try {
      this.#write(`${deployment}.json`, JSON.stringify(memory, infinityToNumber), durable)
    } catch {
      // A full disk must not keep a failover or a fence from happening. What was not written is still known in here,
      // the next record is written half a second later, and a running engine is found by its working directory.
    }
  }

  #write(name: string, text: string, durable: boolean): void {
    mkdirSync(this.#directory, { recursive: true, mode: 0o700 })
    const path = join(this.#directory, name)
    const beside = `${path}.${process.pid}`
    const file = openSync(beside, 'w', 0o600)
    try {
      writeSync(file, text)
      if (durable) fsyncSync(file)
    } finally {
      closeSync(file)
    }
    renameSync(beside, path)
  }

  #read(deployment: string): DeploymentMemory {
    const text = readText(join(this.#directory, `${deployment}.json`))
    this.#texts.set(deployment, text)
    if (text === undefined) return { nodes: {} }
    const { boot, nodes } = JSON.parse(text) as DeploymentMemory & { boot: string }
    return { nodes: boot === this.#boot ? nodes : fromEarlierBoot(nodes) }
  }
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}

/** The monotonic clock started anew, and no process survived: times of an earlier boot are all "long ago". A fence stays. */
function fromEarlierBoot(nodes: Record<string, NodeMemory>): Record<string, NodeMemory> {
  const agoOrNever = (time: number | null): number | null => (time === null ? null : longAgo)
  return Object.fromEntries(
    Object.entries(nodes).map(([id, { record, fence }]): [string, NodeMemory] => [
      id,
      {
        ...blankNode(),
        fence: fence == null ? null : { ...fence, at: longAgo },
        record: record && {
          ...record,
          at: longAgo,
          linkUpAt: agoOrNever(record.linkUpAt),
          linkDownSince: agoOrNever(record.linkDownSince),
        },
      },
    ]),
  )
}

/** JSON has no infinity; the smallest number is as long ago. */
const longAgo = -Number.MAX_VALUE

const infinityToNumber = (_key: string, value: unknown): unknown =>
  value === Number.NEGATIVE_INFINITY ? longAgo : value
