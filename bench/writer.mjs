// @ts-check
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { newDirectory } from './place.mjs'

/** The write load of `writer-process.mjs`, asked from here. */
export class Writer {
  #process = fork(fileURLToPath(new URL('writer-process.mjs', import.meta.url)), { cwd: newDirectory('writer') })

  /**
   * Begins to write to all shards.
   *
   * @param {import('./cluster.mjs').Cluster} cluster
   * @param {readonly import('./cluster.mjs').Shard[]} shards
   */
  async start({ nodes, credentials }, shards) {
    await this.#ask({
      start: { ports: nodes.map(({ port }) => port), ...credentials, tags: shards.map(({ tag }) => tag) },
    })
  }

  /**
   * Ends the load; answers what it saw of each shard since the fault.
   *
   * @param {import('./writer-process.mjs').Finish} finish
   * @returns {Promise<import('./writer-process.mjs').Written[]>}
   */
  async finish(finish) {
    return this.#ask({ finish })
  }

  close() {
    this.#process.disconnect()
  }

  /** @param {{ start: import('./writer-process.mjs').Start } | { finish: import('./writer-process.mjs').Finish }} question */
  async #ask(question) {
    this.#process.send(question)
    const [{ answer, error }] = await once(this.#process, 'message')
    if (error !== undefined) throw new Error(error)
    return answer
  }
}
