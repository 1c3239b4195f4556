import type { ChildProcess } from 'node:child_process'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { Status } from '@holdfast/core'
import { Api } from '../../packages/control/src/cli/api.ts'
import { readController } from '../../packages/control/src/store/controller-file.ts'
import type { Home } from '../../packages/control/src/store/home.ts'
import { freePorts } from './engines.ts'
import { eventually } from './eventually.ts'

const main = fileURLToPath(new URL('../../packages/control/dist/main.js', import.meta.url))

/** `holdfast serve` as a process that can be killed and paused. */
export class ControllerProcess {
  readonly api: Api
  readonly #child: ChildProcess

  private constructor(child: ChildProcess, api: Api) {
    this.#child = child
    this.api = api
  }

  static async start(home: Home): Promise<ControllerProcess> {
    const port = await freePorts(1)
    const child = spawn(process.execPath, [main, 'serve', '--port', String(port)], {
      env: { ...process.env, HOLDFAST_HOME: home.path },
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    let said = ''
    child.stderr?.on('data', (chunk: Buffer) => {
      said += chunk.toString()
    })
    const found = await eventually(() => {
      if (child.exitCode !== null) throw new Error(`the controller ended: ${said}`)
      const record = readController(home)
      return record?.pid === child.pid ? record : false
    })
    if (found === false || found === undefined) throw new Error('no controller')
    return new ControllerProcess(child, new Api(found.url, found.token))
  }

  async isReady(): Promise<boolean> {
    return (await this.api.status('it')).ready === 'yes'
  }

  async ready(): Promise<Status> {
    return eventually(
      async () => {
        const status = await this.api.status('it')
        if (status.ready !== 'yes') throw new Error(status.because)
        return status
      },
      { withinMs: 40_000, what: 'ready' },
    )
  }

  pause(): void {
    this.#child.kill('SIGSTOP')
  }

  continue(): void {
    this.#child.kill('SIGCONT')
  }

  async kill(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const gone = once(this.#child, 'exit')
    this.#child.kill('SIGKILL')
    await gone
  }
}
