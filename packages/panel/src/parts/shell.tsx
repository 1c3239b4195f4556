import type { ComponentChildren } from 'preact'
import { connection } from '../follow.ts'
import { signOut } from '../session.ts'
import { Brand } from './brand.tsx'
import { Mark } from './mark.tsx'

interface Props {
  readonly user: string
  /** Where we are below the list of deployments. */
  readonly crumb?: string
  readonly children: ComponentChildren
}

/** What surrounds every page of a signed-in person. */
export function Shell({ user, crumb, children }: Props) {
  return (
    <>
      <a class="skip" href="#content">
        Skip to content
      </a>
      <header class="top">
        <nav aria-label="Main">
          <a href="/" class="brand-link">
            <Brand />
          </a>
          <a href="/" {...(crumb === undefined ? { 'aria-current': 'page' as const } : {})}>
            Deployments
          </a>
          {crumb !== undefined && (
            <>
              <span class="slash" aria-hidden="true">
                /
              </span>
              <span class="here" aria-current="page">
                {crumb}
              </span>
            </>
          )}
        </nav>
        <div class="top-right">
          <Connection />
          <span class="user">{user}</span>
          <button type="button" class="quiet" onClick={() => void signOut()}>
            Sign out
          </button>
        </div>
      </header>
      {connection.value === 'lost' && (
        <p class="lost-banner">
          <Mark tone="warn" />
          Connection lost, trying again. What you see below is as it was last seen.
        </p>
      )}
      <main id="content" tabIndex={-1} class={connection.value === 'lost' ? 'stale' : ''}>
        {children}
      </main>
    </>
  )
}

function Connection() {
  const lost = connection.value === 'lost'
  return (
    <span class="connection" role="status">
      <Mark tone={lost ? 'warn' : 'ok'} />
      {lost ? 'Connection lost' : 'Live'}
    </span>
  )
}
