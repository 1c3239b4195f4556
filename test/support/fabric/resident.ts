/** Who lives on a host of a fabric: a home of Holdfast, the process that serves it, and whoever sits there and asks. */
import { mkdirSync, openSync } from 'node:fs'
import { join } from 'node:path'
import type { Home } from '../../../packages/control/src/store/home.ts'
import { homeAt } from '../../../packages/control/src/store/home.ts'
import { enginesHome, shareEngines } from '../engines.ts'
import { mainPath } from '../program.ts'
import { Console } from './console.ts'
import type { Fabric, Host } from './fabric.ts'

export class Resident {
  readonly host: Host
  readonly home: Home
  readonly #fabric: Fabric
  readonly #part: 'agent' | 'controller'
  #pid = 0
  #console: Console | undefined

  constructor(fabric: Fabric, host: Host, part: 'agent' | 'controller') {
    this.host = host
    this.#fabric = fabric
    this.#part = part
    const path = join(host.folder, part)
    this.home = homeAt(path)
    mkdirSync(path, { mode: 0o700 })
    shareEngines(path, enginesHome)
  }

  /** Of the process that was started last; 0: none was. */
  get pid(): number {
    return this.#pid
  }

  get isRunning(): boolean {
    return this.#fabric.pidsOn(this.host).includes(this.#pid)
  }

  /** In the background, with what it says in a file beside its home. */
  start(args: readonly string[], input = ''): void {
    const said = openSync(join(this.#fabric.folder, `${this.host.name}-${this.#part}.said`), 'a')
    const child = this.#fabric.spawn(this.host, [process.execPath, mainPath, ...args], {
      env: this.#environment,
      stdio: ['pipe', said, said],
      detached: true,
    })
    child.on('error', () => {})
    child.stdin?.on('error', () => {})
    child.stdin?.end(input)
    child.unref()
    this.#pid = child.pid ?? 0
  }

  /** A command at this home; answers what it prints. */
  holdfast(args: readonly string[], withinMs = 30_000): string {
    return this.#fabric.run(this.host, [process.execPath, mainPath, ...args], { withinMs, env: this.#environment })
  }

  /** What the controller of this home says, whatever is cut; rejects where none runs, or it refuses. */
  get<T>(path: string): Promise<T> {
    if (this.#console?.isThere !== true) this.#console = new Console(this.host)
    return this.#console.get(this.home, path)
  }

  close(): void {
    this.#console?.close()
  }

  get #environment(): NodeJS.ProcessEnv {
    return { ...process.env, npm_execpath: undefined, HOLDFAST_HOME: this.home.path }
  }
}
