import { computed, signal } from '@preact/signals'
import { loadSession } from './session.ts'

/** The streams of this page that are broken now. */
const broken = signal<ReadonlySet<object>>(new Set())

export const connection = computed((): 'live' | 'lost' => (broken.value.size === 0 ? 'live' : 'lost'))

const tryAgainAfterMs = 2000

interface Follower {
  /** The address, going on after the last event id that was seen; '' before the first. */
  url(after: string): string
  onData(text: string): void
  /** The server answered, but not with a stream: gone, or not ours any more. */
  onRefused?(): void
}

/**
 * Follows server-sent events until told to stop. The browser reconnects by itself after a lost connection, not after
 * a refusal: then we ask whether we are still signed in, and try again. A hidden page holds no stream, because a
 * browser opens only six connections to one server, over all of its tabs.
 */
export function follow(follower: Follower): () => void {
  const self = {}
  let source: EventSource | undefined
  let timer: ReturnType<typeof setTimeout> | undefined
  let after = ''

  const open = () => {
    source = new EventSource(follower.url(after))
    source.addEventListener('open', () => markBroken(self, false))
    source.addEventListener('message', (message: MessageEvent<string>) => {
      if (message.lastEventId !== '') after = message.lastEventId
      follower.onData(message.data)
    })
    source.addEventListener('error', () => {
      markBroken(self, true)
      if (source?.readyState !== EventSource.CLOSED) return
      void loadSession()
      follower.onRefused?.()
      timer = setTimeout(open, tryAgainAfterMs)
    })
  }
  const close = () => {
    source?.close()
    clearTimeout(timer)
    markBroken(self, false)
  }
  const onVisibility = () => {
    close()
    if (!document.hidden) open()
  }
  document.addEventListener('visibilitychange', onVisibility)
  onVisibility()
  return () => {
    document.removeEventListener('visibilitychange', onVisibility)
    close()
  }
}

function markBroken(stream: object, isBroken: boolean): void {
  if (broken.value.has(stream) === isBroken) return
  const next = new Set(broken.value)
  if (isBroken) next.add(stream)
  else next.delete(stream)
  broken.value = next
}
