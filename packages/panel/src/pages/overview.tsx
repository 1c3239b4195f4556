import { formatBytes, type Status } from '@holdfast/core'
import { useSignal } from '@preact/signals'
import { useEffect } from 'preact/hooks'
import { api, type DeploymentList, streams } from '../api.ts'
import { formatCount, primariesOf, sum } from '../figures.ts'
import { follow } from '../follow.ts'
import { Badge } from '../parts/mark.tsx'
import { Unknown } from '../parts/value.tsx'
import { readiness } from '../tone.ts'

/** Every deployment with its sentence. */
export function OverviewPage() {
  const list = useSignal<DeploymentList | undefined>(undefined)
  useEffect(() => {
    document.title = 'Deployments – Holdfast'
    // The list says what there is, the stream how it is; a name that the stream brings first is a new one.
    const load = async () => {
      list.value = await api.deployments().catch(() => list.value)
    }
    const show = (status: Status) => {
      const { deployments, notSeenYet } = list.value ?? { deployments: [], notSeenYet: [] }
      if (deployments.some(({ name }) => name === status.name)) {
        list.value = { notSeenYet, deployments: deployments.map((one) => (one.name === status.name ? status : one)) }
      } else void load()
    }
    void load()
    return follow({ url: streams.all, onData: (text) => show(JSON.parse(text)) })
  }, [])

  if (list.value === undefined) return <p class="muted">Looking…</p>
  const { deployments, notSeenYet } = list.value
  return (
    <>
      <h1 class="page-title">Deployments</h1>
      {deployments.length + notSeenYet.length === 0 && (
        <section class="empty">
          <h2>Nothing runs here yet.</h2>
          <p>
            <code>holdfast up</code> brings up the first deployment.
          </p>
        </section>
      )}
      <ul class="deployments">
        {deployments.map((status) => (
          <DeploymentCard key={status.name} status={status} />
        ))}
        {notSeenYet.map((name) => (
          <li key={name}>
            <a class="card deployment tone-unknown" href={`/d/${name}`}>
              <span class="deployment-name">{name}</span>
              <Badge tone="unknown" word="Unknown" />
              <span class="because">nobody has looked at it yet</span>
            </a>
          </li>
        ))}
      </ul>
    </>
  )
}

function DeploymentCard({ status }: { status: Status }) {
  const { tone, word } = readiness(status)
  const ops = sum(primariesOf(status), (node) => node.opsPerSecond)
  const memory = sum(status.nodes, (node) => node.memoryBytes)
  return (
    <li>
      <a class={`card deployment tone-${tone}`} href={`/d/${status.name}`}>
        <span class="deployment-name">
          {status.displayName === '' ? status.name : status.displayName} <span class="muted">{status.name}</span>
          {status.adopted !== undefined && <span class="muted"> adopted</span>}
        </span>
        <Badge tone={tone} word={word} />
        <span class="because">{status.because}</span>
        <span class="deployment-figures">
          <span>
            {status.shards.length} shards, {status.nodes.length} nodes
          </span>
          <span>{ops.unknown > 0 ? <Unknown /> : formatCount(ops.known)} ops/s</span>
          <span>{memory.unknown > 0 ? <Unknown /> : formatBytes(memory.known)} memory</span>
        </span>
      </a>
    </li>
  )
}
