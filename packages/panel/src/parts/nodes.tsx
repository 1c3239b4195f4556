import { countSlots, formatBytes, type NodeStatus, type Status } from '@holdfast/core'
import { formatCount } from '../figures.ts'
import { nodeTone } from '../tone.ts'
import { Bar } from './bar.tsx'
import { Badge } from './mark.tsx'
import { None, Unknown, Value } from './value.tsx'

const figures = ['Port', 'Pid', 'Slots', 'Memory', 'Ops/s', 'Keys', 'Clients', 'Link', 'Lag', 'Epoch']

/** Every engine process, in an order that does not change when roles do. */
export function Nodes({ status }: { status: Status }) {
  const slotsOf = new Map(status.shards.map((shard) => [shard.primary, countSlots(shard.slots)]))
  return (
    <section class="card" aria-labelledby="nodes">
      <h2 id="nodes">
        Nodes <span class="count">{status.nodes.length}</span>
      </h2>
      <section class="scroll" aria-label="Nodes as a table" tabIndex={0}>
        <table class="nodes">
          <thead>
            <tr>
              <th scope="col">Node</th>
              <th scope="col">Role</th>
              <th scope="col">State</th>
              {figures.map((figure) => (
                <th key={figure} scope="col" class={figure === 'Memory' || figure === 'Link' ? '' : 'number'}>
                  {figure}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {status.nodes.map((node) => (
              <NodeRow key={node.id} node={node} slots={slotsOf.get(node.id)} />
            ))}
          </tbody>
        </table>
      </section>
    </section>
  )
}

function NodeRow({ node, slots }: { node: NodeStatus; slots: number | undefined }) {
  const runs = node.state !== 'dead' && node.state !== 'stopped'
  const figure = (value: number | null, format: (value: number) => string) =>
    value === null && !runs ? <None /> : <Value of={value} format={format} />
  return (
    <tr>
      <th scope="row">
        {node.id}
        <span class="muted second">{node.shard}</span>
      </th>
      <td>
        {node.role === 'unknown' ? <Unknown /> : <span class={`role-${node.role}`}>{node.role}</span>}
        {node.upstream !== undefined && <span class="muted second">behind {node.upstream ?? <Unknown />}</span>}
      </td>
      <td>
        <Badge tone={nodeTone(node.state)} word={node.state} />
        {node.fence !== null && <span class="second bad-words">fenced: {node.fence.reason}</span>}
      </td>
      <td class="number">{node.port}</td>
      <td class="number">{figure(node.pid, String)}</td>
      <td class="number">{slots === undefined ? <None /> : formatCount(slots)}</td>
      <td class="memory">
        <Memory node={node} runs={runs} />
      </td>
      <td class="number">{figure(node.opsPerSecond, formatCount)}</td>
      <td class="number">{figure(node.keys, formatCount)}</td>
      <td class="number">{figure(node.clients, formatCount)}</td>
      <td>{node.role === 'primary' || !runs ? <None /> : (node.link ?? <Unknown />)}</td>
      <td class="number">{node.role === 'primary' ? <None /> : figure(node.lag, formatBytes)}</td>
      <td class="number">{figure(node.epoch, formatCount)}</td>
    </tr>
  )
}

function Memory({ node: { memoryBytes, memoryMaxBytes }, runs }: { node: NodeStatus; runs: boolean }) {
  if (memoryBytes === null) return runs ? <Unknown /> : <None />
  if (memoryMaxBytes === null || memoryMaxBytes === 0) return <>{formatBytes(memoryBytes)}</>
  return (
    <>
      <span class="memory-words">
        {formatBytes(memoryBytes)} <span class="muted">of {formatBytes(memoryMaxBytes)}</span>
      </span>
      <Bar ratio={memoryBytes / memoryMaxBytes} />
    </>
  )
}
