import type { NodeFiles, NodePlace } from '@holdfast/core'
import type { EnginePort } from '../../src/engine/engine.ts'
import type { HostPort } from '../../src/host/host.ts'

/**
 * Six engines that were never started, three shards of two, and hands to hurt them with. The memory cluster makes one,
 * and so do real engines in processes of their own; the contract knows no difference.
 */
export interface ContractWorld {
  readonly engine: EnginePort
  readonly host: HostPort
  readonly deployment: string
  /** In layout order: the first three are the first copies of shard-1 to shard-3. */
  readonly nodes: readonly NodePlace[]
  /** Whether its engines tell each other whom one of them was told to forget, as they do from 7.2 on. */
  readonly forgetsTogether: boolean
  filesFor(node: NodePlace): NodeFiles
  /** SIGKILL, SIGSTOP and SIGCONT to the engine process, by somebody else than the agent. */
  kill(node: NodePlace): Promise<void>
  freeze(node: NodePlace): Promise<void>
  thaw(node: NodePlace): Promise<void>
  /** Deletes the data directory of an engine that is not running. */
  wipe(node: NodePlace): Promise<void>
  /** Writes a key that was not there before into a shard, as a client would. Answers whether it was acknowledged. */
  write(shard: string): Promise<boolean>
  /** Lets time pass until the check passes; throws what it last threw when `withinMs` is over. */
  eventually(check: () => Promise<void>, options: { readonly withinMs: number }): Promise<void>
  close(): Promise<void>
}
