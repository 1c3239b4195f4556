/**
 * Words from outside that the layout has changed, so that a client looks at once and not when a timeout tells it to. It
 * never depends on them: one that is missing costs what the timeout costs, one too many costs a look.
 */
import type { Clock } from './clock.ts'
import type { Engine } from './engine/engine.ts'

/** Calls `changed` whenever something may have moved; answers how to stop. */
export type Hints = (changed: (because: string) => void) => () => void

/** The engine, listening to hints as long as it is open. */
export function hintedBy(engine: Engine, hints: Hints): Engine {
  const stop = hints((because) => engine.hint(because))
  const close = engine.close.bind(engine)
  engine.close = () => {
    stop()
    return close()
  }
  return engine
}

const againMs = { first: 500, most: 10_000 } as const

/** Hints from a stream of server-sent events: each event is one, whatever it says. Tries again for ever, ever more slowly. */
export function followFeed(address: string, clock: Clock): Hints {
  return (changed) => {
    const ended = new AbortController()
    let cancel: () => void = () => {}
    let failures = 0
    const follow = async (): Promise<void> => {
      try {
        const { body, ok } = await fetch(address, { headers: { accept: 'text/event-stream' }, signal: ended.signal })
        if (body !== null && ok) {
          for await (const chunk of body) {
            failures = 0
            if (Buffer.from(chunk).includes('data:')) changed('the feed says so')
          }
        } else await body?.cancel()
      } catch {
        // A feed that is away is no news: it is tried again.
      }
      if (ended.signal.aborted) return
      const ms = Math.min(againMs.first * 2 ** failures++, againMs.most) * (0.5 + clock.random() / 2)
      cancel = clock.after(ms, () => void follow())
    }
    void follow()
    return () => {
      ended.abort()
      cancel()
    }
  }
}
