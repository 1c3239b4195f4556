// @ts-check
/**
 * One library under measurement, in a process of its own: neither its garbage nor what the others have compiled is
 * measured with it, and what it breaks is broken for itself.
 *
 * @typedef {object} OpenOptions
 * @property {number} [port] Of a standalone engine.
 * @property {readonly number[]} [ports] Of a Cluster.
 * @property {{ username: string, password: string }} [credentials] Of a Cluster that asks for them.
 * @property {{ url: string, token: string }} [feed] Where a controller tells of changes.
 * @property {boolean} engine Whether it uses an engine.
 * @property {boolean} local Whether it has a tier in its process.
 * @property {number} [maxEntries] Of the local tier.
 * @property {string} [variant] Of the library's settings.
 *
 * @typedef {() => Promise<unknown>} Load
 * @typedef {{ ttl?: `${number}s`, tags?: string[] }} EntryOptions
 *
 * @typedef {object} Opened What a measurement may ask of a library; what it does not have is left out.
 * @property {(key: string) => unknown} get
 * @property {(key: string, load: Load, options?: EntryOptions) => unknown} getOrSet
 * @property {(key: string, value: unknown, options?: EntryOptions) => Promise<void>} set
 * @property {(key: string) => unknown} [peek]
 * @property {() => Promise<void>} [clear]
 * @property {(tags: readonly string[]) => Promise<void>} [invalidateTags]
 * @property {(tag: string) => Promise<void>} [increment] A call without a source.
 * @property {() => Promise<unknown>} close
 *
 * @typedef {(options: OpenOptions) => Promise<Opened>} Open
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { newDirectory } from '../place.mjs'

const worker = fileURLToPath(new URL('worker.mjs', import.meta.url))

export class Subject {
  #child
  #next = 0
  /** @type {Map<number, { resolve: (answer: any) => void, reject: (error: Error) => void }>} */
  #asked = new Map()

  /** @param {string} name One of the subjects of `worker.mjs`. */
  constructor(name) {
    this.name = name
    this.#child = fork(worker, [name], {
      cwd: newDirectory('subject'),
      execArgv: ['--expose-gc'],
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    })
    let said = ''
    this.#child.stderr?.on('data', (chunk) => {
      said = (said + chunk).slice(-2000)
    })
    this.#child.on('message', (/** @type {any} */ { id, answer, error }) => {
      const waiting = this.#asked.get(id)
      this.#asked.delete(id)
      if (error === undefined) waiting?.resolve(answer)
      else waiting?.reject(new Error(error))
    })
    this.#child.on('exit', (code, signal) => {
      for (const { reject } of this.#asked.values()) reject(new Error(`${name} ended by ${signal ?? code}:\n${said}`))
      this.#asked.clear()
    })
  }

  /**
   * @param {string} name
   * @param {OpenOptions} options
   */
  static async open(name, options) {
    const subject = new Subject(name)
    try {
      await subject.ask('open', options)
      return subject
    } catch (error) {
      await subject.close()
      throw error
    }
  }

  /**
   * Does one of the tasks in its process and answers what came of it.
   *
   * @param {string} task
   * @param {object} [input]
   * @returns {Promise<any>}
   */
  ask(task, input = {}) {
    return new Promise((resolve, reject) => {
      const id = this.#next++
      this.#asked.set(id, { resolve, reject })
      this.#child.send({ id, task, input }, (error) => error && reject(error))
    })
  }

  /** Killed, because a library that hangs in an outage would not close either. */
  async close() {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const gone = once(this.#child, 'exit')
    this.#child.kill('SIGKILL')
    await gone
  }
}

/**
 * Opens a library, uses it, and closes it again.
 *
 * @template T
 * @param {string} name
 * @param {OpenOptions} options
 * @param {(subject: Subject) => Promise<T>} use
 */
export async function withSubject(name, options, use) {
  const subject = await Subject.open(name, options)
  try {
    return await use(subject)
  } finally {
    await subject.close()
  }
}
