/** A seat at a host of the fabric, from which its controller is asked: see console-process.mjs. */
import type { ChildProcess } from 'node:child_process'
import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { readController } from '../../../packages/control/src/store/controller-file.ts'
import type { Home } from '../../../packages/control/src/store/home.ts'
import type { Host } from './fabric.ts'

type Answer =
  | { readonly id: number; readonly status: number; readonly text: string }
  | { readonly id: number; readonly trouble: string }

const program = fileURLToPath(new URL('./console-process.mjs', import.meta.url))
const answersWithinMs = 6000

export class Console {
  readonly #child: ChildProcess
  readonly #waiting = new Map<number, (answer: Answer) => void>()
  #asked = 0

  constructor({ namespace }: Host) {
    this.#child = fork(program, [], {
      execPath: 'ip',
      execArgv: ['netns', 'exec', namespace, process.execPath],
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    })
    this.#child.on('message', (answer: Answer) => this.#waiting.get(answer.id)?.(answer))
  }

  /** It may have been killed with everything else on its host. */
  get isThere(): boolean {
    return this.#child.connected
  }

  /** What the controller of this home answers; rejects where none runs, or it refuses. */
  async get<T>(home: Home, path: string): Promise<T> {
    const controller = readController(home)
    if (controller === undefined) throw new Error(`no controller runs on ${home.path}`)
    const headers = { authorization: `Bearer ${controller.token}`, accept: 'application/json' }
    const answer = await this.#ask(`${controller.url}/api/v1${path}`, { headers })
    if ('trouble' in answer) throw new Error(answer.trouble)
    if (answer.status !== 200) throw new Error(`${path}: ${answer.status} ${answer.text}`)
    return JSON.parse(answer.text) as T
  }

  close(): void {
    this.#child.kill('SIGKILL')
  }

  #ask(url: string, init: { readonly headers: Readonly<Record<string, string>> }): Promise<Answer> {
    const id = ++this.#asked
    return new Promise<Answer>((resolve) => {
      const give = (answer: Answer): void => {
        clearTimeout(late)
        this.#waiting.delete(id)
        resolve(answer)
      }
      const late = setTimeout(() => give({ id, trouble: 'the console does not answer' }), answersWithinMs)
      this.#waiting.set(id, give)
      this.#child.send({ id, url, init }, (error) => {
        if (error !== null) give({ id, trouble: error.message })
      })
    })
  }
}
