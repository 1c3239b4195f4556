/** The second lane: off until somebody wants to compare. It takes a few seconds to come and to go. */
import type { DemoState } from '@holdfast/core'
import type { EngineBinary } from '../binary/engine-binary.ts'
import { BareCluster } from './bare-cluster.ts'
import type { DatabasePlace } from './database.ts'
import { Lane } from './lane.ts'

export class Compare {
  readonly #folder: string
  readonly #say: (line: string) => void
  #state: DemoState['compare'] = 'off'
  #last: Promise<void> = Promise.resolve()
  #lane: Lane | undefined
  #cluster: BareCluster | undefined

  constructor(folder: string, say: (line: string) => void) {
    this.#folder = folder
    this.#say = say
  }

  get state(): DemoState['compare'] {
    return this.#state
  }

  /** Undefined until it is on. */
  get lane(): Lane | undefined {
    return this.#state === 'on' ? this.#lane : undefined
  }

  get cluster(): BareCluster | undefined {
    return this.#state === 'on' ? this.#cluster : undefined
  }

  /** Begins to bring it up; resolves when it is on, or could not be brought up, which it says. */
  turnOn(binary: EngineBinary, database: DatabasePlace): Promise<void> {
    this.#state = 'starting'
    return this.#next(async () => {
      try {
        await this.#open(binary, database)
        this.#state = 'on'
        this.#say('the engine alone: the same shop runs on six servers that nobody keeps up')
      } catch (error) {
        await this.#close()
        this.#state = 'off'
        this.#say(`the engine alone cannot be brought up: ${error instanceof Error ? error.message : String(error)}`)
      }
    })
  }

  turnOff(): Promise<void> {
    if (this.#state === 'off') return Promise.resolve()
    this.#state = 'stopping'
    return this.#next(async () => {
      await this.#close()
      this.#state = 'off'
      this.#say('the engine alone: stopped')
    })
  }

  #next(work: () => Promise<void>): Promise<void> {
    this.#last = this.#last.then(work)
    return this.#last
  }

  async #open(binary: EngineBinary, database: DatabasePlace): Promise<void> {
    this.#lane = new Lane('bare', this.#folder)
    this.#cluster = await BareCluster.open(binary, this.#folder, this.#say)
    await this.#lane.openShops(this.#cluster.access, database)
    await this.#lane.openDoors(this.#cluster.access)
  }

  async #close(): Promise<void> {
    const [lane, cluster] = [this.#lane, this.#cluster]
    this.#lane = undefined
    this.#cluster = undefined
    await lane?.close()
    await cluster?.close()
  }
}
