import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { readController } from './store/controller-file.ts'
import { homeAt } from './store/home.ts'

/** The program as it was built: also for whoever runs from the sources. */
const main = fileURLToPath(new URL('../dist/main.js', import.meta.url))

export interface ServeProcess {
  hasEnded(): boolean
  /** What it said on its stderr so far. */
  said(): string
  /** It is not waited for any more. */
  letGo(): void
  /** Ends it again, and waits for that. */
  end(): Promise<void>
}

/** Whether a controller keeps this home now. */
export const isKept = (home: string): boolean => readController(homeAt(home)) !== undefined

/** Starts `holdfast agent` of a machine that has joined, as `spawnServe` does with a controller. */
export const spawnAgent = (home: string): ServeProcess => spawnDetached(home, ['agent'], 'agent.err')

/** Starts `holdfast serve` in a session of its own, so that it outlives whoever starts it, and the terminal. */
export const spawnServe = (home: string, port: number | undefined): ServeProcess =>
  spawnDetached(home, ['serve', ...(port === undefined ? [] : ['--port', String(port)])], 'controller.err')

function spawnDetached(home: string, args: readonly string[], talkName: string): ServeProcess {
  // A file and not a pipe: nobody reads the pipe once the starter is over, and writing to it would end the program.
  const talkPath = join(home, talkName)
  const talk = openSync(talkPath, 'w', 0o600)
  const child = spawn(process.execPath, [main, ...args], {
    detached: true,
    stdio: ['ignore', 'ignore', talk],
    env: { ...process.env, HOLDFAST_HOME: home },
  })
  closeSync(talk)
  const gone = once(child, 'exit')
  return {
    hasEnded: () => child.exitCode !== null || child.signalCode !== null,
    said: () => readFileSync(talkPath, 'utf8'),
    letGo: () => child.unref(),
    end: async () => {
      child.ref()
      if (child.kill('SIGTERM')) await gone
    },
  }
}
