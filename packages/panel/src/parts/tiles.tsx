import { formatBytes, type Status } from '@holdfast/core'
import { formatCount, primariesOf, type Sum, sum } from '../figures.ts'
import { Bar } from './bar.tsx'
import { Tile } from './tile.tsx'
import { Trend } from './trend.tsx'
import { Unknown } from './value.tsx'

/** The figures of the whole deployment. */
export function Tiles({ status, trend }: { status: Status; trend: readonly (number | null)[] }) {
  const primaries = primariesOf(status)
  const ops = sum(primaries, (node) => node.opsPerSecond)
  const keys = sum(primaries, (node) => node.keys)
  const used = sum(status.nodes, (node) => node.memoryBytes)
  const max = sum(status.nodes, (node) => node.memoryMaxBytes)
  const clients = sum(status.nodes, (node) => node.clients)
  const share = max.known > 0 && used.unknown === 0 && max.unknown === 0 ? used.known / max.known : null
  return (
    <dl class="tiles">
      <Tile
        label="Operations"
        value={<Total of={ops} nodes={primaries.length} format={(n) => `${formatCount(n)}/s`} />}
        note={<Seen of={ops} otherwise="on all primaries, last two minutes" />}
      >
        <Trend points={trend} />
      </Tile>
      <Tile
        label="Memory"
        value={<Total of={used} nodes={status.nodes.length} format={formatBytes} />}
        note={
          <Seen
            of={used}
            otherwise={`${percent(share)}of ${max.known === 0 ? 'no limit' : formatBytes(max.known)} on ${status.nodes.length} nodes`}
          />
        }
      >
        <Bar ratio={share} />
      </Tile>
      <Tile
        label="Keys"
        value={<Total of={keys} nodes={primaries.length} format={formatCount} />}
        note={
          <>
            <Total of={clients} nodes={status.nodes.length} format={formatCount} /> client connections
          </>
        }
      />
      <Tile
        label="Copies in sync"
        value={status.ready === 'unknown' ? <Unknown /> : status.copiesInSync}
        note="fewest of any shard, with its primary"
      />
    </dl>
  )
}

function Total({ of, nodes, format }: { of: Sum; nodes: number; format: (value: number) => string }) {
  if (nodes === 0 || of.unknown === nodes) return <Unknown />
  return <>{of.unknown === 0 ? format(of.known) : `≥ ${format(of.known)}`}</>
}

function Seen({ of, otherwise }: { of: Sum; otherwise: string }) {
  return <>{of.unknown === 0 ? otherwise : `${of.unknown} ${of.unknown === 1 ? 'node is' : 'nodes are'} unknown`}</>
}

const percent = (share: number | null): string => (share === null ? '' : `${Math.round(share * 100)} % `)
