// @ts-check
/** One standalone engine that keeps nothing on disk, to be hurt. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { EngineLink } from '../../packages/control/dist/engine/link.js'
import { freePorts, newDirectory, removeDirectory } from '../place.mjs'
import { eventually } from '../time.mjs'

export class EngineProcess {
  #engine
  #settings
  #directory = newDirectory('engine')
  /** @type {import('node:child_process').ChildProcess | undefined} */
  #child
  /** @type {EngineLink} */
  #link
  port

  /**
   * @param {import('../bare-cluster.mjs').Engine} engine
   * @param {number} port
   * @param {readonly string[]} settings
   */
  constructor(engine, port, settings) {
    this.#engine = engine
    this.port = port
    this.#settings = settings
    this.#link = new EngineLink({ address: '127.0.0.1', port, username: 'default', password: '', name: 'bench' })
  }

  /**
   * @param {import('../bare-cluster.mjs').Engine} engine
   * @param {readonly string[]} [settings]
   */
  static async start(engine, settings = []) {
    const started = new EngineProcess(engine, await freePorts(1), settings)
    await started.start()
    return started
  }

  async start() {
    const where = ['--port', String(this.port), '--bind', '127.0.0.1', '--dir', this.#directory]
    this.#child = spawn(this.#engine.server, [...where, '--save', '', '--appendonly', 'no', ...this.#settings], {
      cwd: this.#directory,
      env: { ...process.env, ...this.#engine.env },
      stdio: 'ignore',
    })
    await eventually(() => this.command('PING'), { withinMs: 10_000, everyMs: 5, what: 'the engine answers' })
  }

  /** @param {...string} command */
  command(...command) {
    return this.#link.command(command)
  }

  /** A number out of INFO. @param {string} section @param {string} name */
  async info(section, name) {
    const text = String(await this.command('INFO', section))
    return Number(new RegExp(`^${name}:(\\d+)`, 'm').exec(text)?.[1] ?? 0)
  }

  async kill() {
    const child = this.#child
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const gone = once(child, 'exit')
    child.kill('SIGKILL')
    await gone
  }

  freeze() {
    this.#child?.kill('SIGSTOP')
  }

  thaw() {
    this.#child?.kill('SIGCONT')
  }

  async remove() {
    this.#link.close()
    await this.kill()
    removeDirectory(this.#directory)
  }
}

/**
 * @template T
 * @param {import('../main.mjs').Bench} bench
 * @param {(engine: EngineProcess) => Promise<T>} use
 */
export async function withEngine({ engine }, use) {
  const started = await EngineProcess.start(engine)
  try {
    return await use(started)
  } finally {
    await started.remove()
  }
}
