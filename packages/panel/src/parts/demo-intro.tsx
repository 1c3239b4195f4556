import type { DemoState, Status } from '@holdfast/core'
import { formatCount } from '../figures.ts'
import { readiness } from '../tone.ts'
import { Badge } from './mark.tsx'

/** What is shown here, for somebody who has read nothing, and how the deployment under it is. */
export function DemoIntro({ state, status }: { state: DemoState; status: Status | undefined }) {
  const { database, deployment, requestsPerSecond } = state
  return (
    <section class="intro" aria-label="What this is">
      <h1>
        A shop answers {formatCount(requestsPerSecond)} requests a second from a cache. Press “Kill a primary” and watch
        its errors.
      </h1>
      <p class="muted">
        Real engines are killed here, and the shop counts its own errors.{' '}
        {database.running ? (
          <>
            Behind the cache is a slow {database.kind}: {database.delayMs} ms a question, at most {database.limit} at
            once.
          </>
        ) : (
          <strong class="bad-words">
            {database.kind} is stopped: what the cache has is served, and what is old says so.
          </strong>
        )}
      </p>
      <p class="intro-state">
        {status === undefined ? <Badge tone="unknown" word="Unknown" /> : <Badge {...readiness(status)} />}
        <a href={`/d/${deployment}`}>{deployment}</a>
        <span class="because">{status?.because ?? 'nobody has looked at it yet'}</span>
      </p>
    </section>
  )
}
