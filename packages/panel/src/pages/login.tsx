import { useSignal } from '@preact/signals'
import { useEffect } from 'preact/hooks'
import { ApiError } from '../api.ts'
import { Brand } from '../parts/brand.tsx'
import { signIn } from '../session.ts'

export function LoginPage() {
  const trouble = useSignal('')
  const busy = useSignal(false)
  useEffect(() => {
    document.title = 'Sign in – Holdfast'
  }, [])

  async function submit(event: SubmitEvent): Promise<void> {
    event.preventDefault()
    if (!(event.currentTarget instanceof HTMLFormElement) || busy.value) return
    const fields = new FormData(event.currentTarget)
    busy.value = true
    trouble.value = ''
    try {
      await signIn(fieldOf(fields, 'user'), fieldOf(fields, 'password'))
    } catch (error) {
      trouble.value = wordsOf(error)
    } finally {
      busy.value = false
    }
  }

  return (
    <main class="login">
      <form class="card" onSubmit={(event) => void submit(event)}>
        <Brand />
        <h1>Sign in</h1>
        <label>
          Name
          <input
            name="user"
            autoComplete="username"
            autoCapitalize="none"
            spellcheck={false}
            required
            maxLength={128}
            autoFocus
          />
        </label>
        <label>
          Password
          <input name="password" type="password" autoComplete="current-password" required maxLength={1024} />
        </label>
        <p class="trouble" role="alert">
          {trouble.value}
        </p>
        <button type="submit" disabled={busy.value}>
          {busy.value ? 'Signing in…' : 'Sign in'}
        </button>
        <p class="muted hint">Holdfast printed the name and the password when it first started on this machine.</p>
      </form>
    </main>
  )
}

function fieldOf(fields: FormData, name: string): string {
  const value = fields.get(name)
  return typeof value === 'string' ? value : ''
}

function wordsOf(error: unknown): string {
  if (error instanceof ApiError) return `${error.message.charAt(0).toUpperCase()}${error.message.slice(1)}.`
  return 'The server does not answer. Is Holdfast running?'
}
