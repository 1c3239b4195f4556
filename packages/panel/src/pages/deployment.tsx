import type { HoldfastEvent, Status } from '@holdfast/core'
import { useSignal } from '@preact/signals'
import { useEffect } from 'preact/hooks'
import { ApiError, api, streams } from '../api.ts'
import { now } from '../clock.ts'
import { primariesOf, sum } from '../figures.ts'
import { follow } from '../follow.ts'
import { About } from '../parts/about.tsx'
import { Events } from '../parts/events.tsx'
import { Headline } from '../parts/headline.tsx'
import { Nodes } from '../parts/nodes.tsx'
import { Operations } from '../parts/operations.tsx'
import { Shards } from '../parts/shards.tsx'
import { Tiles } from '../parts/tiles.tsx'
import { trendLength } from '../parts/trend.tsx'
import { readiness } from '../tone.ts'
import { NowherePage } from './nowhere.tsx'

const eventsMax = 300

/** One deployment, live: how it is and why, its shards, its nodes, and what happened. */
export function DeploymentPage({ name }: { name: string }) {
  const status = useSignal<Status | undefined>(undefined)
  const arrivedAt = useSignal(Date.now())
  const trend = useSignal<readonly (number | null)[]>([])
  const events = useSignal<readonly HoldfastEvent[]>([])
  const trouble = useSignal('')

  useEffect(() => {
    document.title = `${name} – Holdfast`
    const show = (next: Status) => {
      status.value = next
      arrivedAt.value = Date.now()
      trouble.value = ''
      const ops = sum(primariesOf(next), (node) => node.opsPerSecond)
      trend.value = [...trend.value, ops.unknown === 0 ? ops.known : null].slice(-trendLength)
      document.title = `${readiness(next).word} · ${next.displayName || next.name} – Holdfast`
    }
    // A refused stream does not say why; the plain request does.
    const explain = () =>
      void api.deployment(name).then(
        () => undefined,
        (error: unknown) => {
          if (error instanceof ApiError && error.status !== 401) trouble.value = error.message
        },
      )
    const stopStatus = follow({
      url: () => streams.deployment(name),
      onData: (text) => show(JSON.parse(text)),
      onRefused: explain,
    })
    const stopEvents = follow({
      url: (after) => streams.events(name, after),
      onData: (text) => {
        const event: HoldfastEvent = JSON.parse(text)
        if (events.value.some(({ seq }) => seq === event.seq)) return
        events.value = [event, ...events.value].slice(0, eventsMax)
      },
    })
    return () => {
      stopStatus()
      stopEvents()
    }
  }, [name])

  if (trouble.value !== '') return <NowherePage what={`${trouble.value}.`} />
  if (status.value === undefined) return <p class="muted">Looking at {name}…</p>
  return (
    <>
      <Headline status={status.value} now={now.value} silentForMs={now.value - arrivedAt.value} />
      <Tiles status={status.value} trend={trend.value} />
      <div class="columns">
        <Shards status={status.value} />
        <About status={status.value} />
      </div>
      <Nodes status={status.value} />
      <Operations operations={status.value.operations} />
      {status.value.adopted === undefined && (
        <p class="see-incidents">
          <a href={`/d/${name}/incidents`}>Incidents and availability</a>
        </p>
      )}
      <Events events={events.value} now={now.value} />
    </>
  )
}
