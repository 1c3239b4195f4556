import { countSlots, formatSlots, type NodeStatus, type ShardStatus, type Status } from '@holdfast/core'
import { formatCount } from '../figures.ts'
import { nodeTone } from '../tone.ts'
import { Badge, Mark } from './mark.tsx'
import { SlotBar, shadeOf } from './slot-bar.tsx'
import { None } from './value.tsx'

/** Each shard: its slots, who serves them, who copies them. */
export function Shards({ status }: { status: Status }) {
  const nodes = new Map(status.nodes.map((node) => [node.id, node]))
  return (
    <section class="card" aria-labelledby="shards">
      <h2 id="shards">
        Shards <span class="count">{status.shards.length}</span>
      </h2>
      <SlotBar shards={status.shards} />
      <section class="scroll" aria-label="Shards as a table" tabIndex={0}>
        <table>
          <thead>
            <tr>
              <th scope="col">Shard</th>
              <th scope="col">Primary</th>
              <th scope="col">Replicas</th>
              <th scope="col" class="number">
                Slots
              </th>
              <th scope="col">Ranges</th>
            </tr>
          </thead>
          <tbody>
            {status.shards.map((shard, index) => (
              <ShardRow key={shard.id} shard={shard} shade={shadeOf(index)} nodes={nodes} />
            ))}
          </tbody>
        </table>
      </section>
    </section>
  )
}

interface RowProps {
  readonly shard: ShardStatus
  readonly shade: string
  readonly nodes: ReadonlyMap<string, NodeStatus>
}

function ShardRow({ shard, shade, nodes }: RowProps) {
  return (
    <tr>
      <th scope="row">
        <svg class="swatch" viewBox="0 0 10 10" aria-hidden="true">
          <rect class={shade} width="10" height="10" rx="2" />
        </svg>
        {shard.id}
      </th>
      <td>
        {shard.primary === null ? <Badge tone="bad" word="nobody" /> : <Member id={shard.primary} nodes={nodes} />}
      </td>
      <td>
        {shard.replicas.length === 0 ? <None /> : shard.replicas.map((id) => <Member key={id} id={id} nodes={nodes} />)}
      </td>
      <td class="number">{formatCount(countSlots(shard.slots))}</td>
      <td class="ranges">
        {shard.slots.length === 0 ? (
          <None />
        ) : (
          shard.slots.map((range) => <span key={range[0]}>{formatSlots([range])} </span>)
        )}
      </td>
    </tr>
  )
}

function Member({ id, nodes }: { id: string; nodes: RowProps['nodes'] }) {
  const state = nodes.get(id)?.state ?? 'unknown'
  return (
    <span class="member">
      <Mark tone={nodeTone(state)} />
      {id}
      {state === 'ok' ? <span class="only-heard">ok</span> : <span class="muted">{state}</span>}
    </span>
  )
}
