import { signal } from '@preact/signals'
import { ApiError, api, type SessionInfo } from './api.ts'
import { go, route } from './router.ts'

export const session = signal<SessionInfo | 'nobody' | 'not asked yet'>('not asked yet')

/** Asks the server who we are. A server that does not answer leaves things as they were. */
export async function loadSession(): Promise<void> {
  try {
    session.value = await api.session()
    if (route.value.page === 'login') go('/', 'replace')
  } catch (error) {
    const refused = error instanceof ApiError && error.status === 401
    if (refused || session.value === 'not asked yet') session.value = 'nobody'
  }
}

export async function signIn(user: string, password: string): Promise<void> {
  session.value = await api.signIn(user, password)
  if (route.value.page === 'login') go('/', 'replace')
}

export async function signOut(): Promise<void> {
  // Gone here first: whatever the server answers, this page shows nothing more.
  session.value = 'nobody'
  go('/login')
  await api.signOut().catch(() => undefined)
}

const awakeEveryMs = 5 * 60_000

/** Streams do not keep a session from idling out; a person who uses the page does. */
export function keepAwake(): void {
  let askedAt = performance.now()
  const awake = () => {
    if (typeof session.value === 'string' || performance.now() - askedAt < awakeEveryMs) return
    askedAt = performance.now()
    void loadSession()
  }
  for (const kind of ['pointerdown', 'keydown', 'wheel']) addEventListener(kind, awake, { passive: true })
}
