import { bootId } from './proc.ts'

/** Time as a port: the simulation turns it by hand. */
export interface Clock {
  /** Monotonic milliseconds, the same for all processes of one boot. Every decision uses this. */
  now(): number
  /** Of which boot `now` is: times that were written down in another one mean nothing. */
  readonly boot: string
  /** Milliseconds since 1970, for people. */
  wall(): number
  /** Resolves after `ms`, or at once when the signal fires: being woken early is ordinary, not an error. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>
}

export const systemClock: Clock = {
  now: () => Number(process.hrtime.bigint()) / 1e6,
  boot: bootId(),
  wall: () => Date.now(),
  sleep,
}

/** Without the library's error for being woken early: with its stack it costs more than the sleep, many times a second. */
function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted === true) return resolve()
    const wake = (): void => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', wake)
      resolve()
    }
    const timer = setTimeout(wake, ms)
    signal?.addEventListener('abort', wake)
  })
}
