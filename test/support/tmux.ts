/** A real terminal that a test can type into and read: tmux, with a server of its own. */
import { execFile, execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { directoriesOf, firstProgram } from '../../packages/control/src/binary/lookup.ts'
import { enginesDir } from '../../packages/control/src/binary/workspace.ts'
import { programsHome } from './engines.ts'
import { eventually } from './eventually.ts'
import { fetchPackage, librariesIn } from './fetch-package.ts'

interface Tmux {
  readonly program: string
  readonly env: Readonly<Record<string, string>>
}

/** The one on the PATH, else one that was unpacked before, else one that apt downloads now. */
export async function findTmux(path = process.env['PATH'] ?? '', home = programsHome): Promise<Tmux> {
  const installed = await firstProgram(['tmux'], directoriesOf(path))
  if (installed) return { program: installed, env: {} }
  const kept = join(enginesDir(home), 'tmux')
  if ((await obstacleTo(kept)) === undefined) return tmuxIn(kept)
  const install = 'Debian and Ubuntu: "apt-get install -y tmux"; elsewhere, install tmux.'
  return tmuxIn(
    await fetchPackage({ title: 'tmux', install, packageOf: async () => 'tmux', obstacle: obstacleTo }, home),
  )
}

const tmuxIn = (tree: string): Tmux => ({ program: join(tree, 'usr', 'bin', 'tmux'), env: librariesIn(tree) })

async function obstacleTo(tree: string): Promise<string | undefined> {
  const { program, env } = tmuxIn(tree)
  try {
    await promisify(execFile)(program, ['-V'], { env: { ...process.env, ...env }, timeout: 10_000 })
    return undefined
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

/** One window of 80 by 24, the size that every terminal has. */
export class Terminal {
  readonly #tmux: Tmux
  readonly #socket = `holdfast-test-${process.pid}`

  constructor(tmux: Tmux) {
    this.#tmux = tmux
  }

  /** Starts a shell command in it, with this in its environment beside ours. */
  start(command: string, env: Readonly<Record<string, string>>): void {
    // The libraries are tmux's alone: what runs in the terminal gets the environment of this process.
    const own = { LD_LIBRARY_PATH: process.env['LD_LIBRARY_PATH'] ?? '', ...env }
    const settings = Object.entries(own).flatMap(([name, value]) => ['-e', `${name}=${value}`])
    this.#ask('new-session', '-d', '-s', 'it', '-x', '80', '-y', '24', ...settings, command)
  }

  get screen(): string {
    return this.#ask('capture-pane', '-p', '-t', 'it')
  }

  type(key: string): void {
    this.#ask('send-keys', '-t', 'it', key)
  }

  /** What tmux knows of it, such as `#{cursor_flag}`. */
  know(format: string): string {
    return this.#ask('display-message', '-p', '-t', 'it', format).trim()
  }

  /** Waits until the screen shows this; answers the whole screen. */
  async see(what: RegExp, withinMs = 20_000): Promise<string> {
    return eventually(
      () => {
        const text = this.screen
        if (!what.test(text)) throw new Error(`\n${text}`)
        return text
      },
      { withinMs, what: String(what) },
    )
  }

  close(): void {
    this.#ask('kill-server')
  }

  #ask(...args: string[]): string {
    const { program, env } = this.#tmux
    return execFileSync(program, ['-L', this.#socket, '-f', '/dev/null', ...args], {
      encoding: 'utf8',
      env: { ...process.env, ...env },
    })
  }
}
