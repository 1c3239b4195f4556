import { describeGrants } from '@holdfast/core'
import type { ComponentChildren } from 'preact'
import { connection } from '../follow.ts'
import { session, signOut } from '../session.ts'
import { Brand } from './brand.tsx'
import { Mark } from './mark.tsx'

interface Props {
  readonly user: string
  /** Where in the navigation we are; the deployments unless told. */
  readonly section?: 'deployments' | 'demo'
  /** Where we are below the list of deployments. */
  readonly crumb?: string
  readonly children: ComponentChildren
}

/** What surrounds every page of a signed-in person. */
export function Shell({ user, section = 'deployments', crumb, children }: Props) {
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
          <a href="/" {...(section === 'deployments' && crumb === undefined ? here : {})}>
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
          {(section === 'demo' || hasDemo()) && (
            <a href="/demo" {...(section === 'demo' ? here : {})}>
              Demo
            </a>
          )}
        </nav>
        <div class="top-right">
          <Connection />
          <span class="user">
            {user}
            {may() !== user && <span class="muted"> {may()}</span>}
          </span>
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

const here = { 'aria-current': 'page' } as const

/** His roles in words; not said twice where the name says it. */
const may = (): string => (typeof session.value === 'string' ? '' : describeGrants(session.value.grants))

const hasDemo = (): boolean => typeof session.value !== 'string' && session.value.demo

function Connection() {
  const lost = connection.value === 'lost'
  return (
    <span class="connection" role="status">
      <Mark tone={lost ? 'warn' : 'ok'} />
      {lost ? 'Connection lost' : 'Live'}
    </span>
  )
}
