import { formatBytes, formatDuration, formatShare, type Ledger } from '@holdfast/core'
import { formatCount } from '../figures.ts'
import { Tile } from './tile.tsx'
import { None, Unknown } from './value.tsx'

/** The ledger in four figures. All of them are what a client saw. */
export function LedgerTiles({ ledger }: { ledger: Ledger }) {
  const { availability, incidents } = ledger
  const { ratio, observedMs, notWritableMs } = availability
  const onPurpose = incidents.filter(({ drill }) => drill !== null).length
  const known = incidents.flatMap(({ possiblyLostBytes }) => possiblyLostBytes ?? [])
  const notKnown = incidents.length - known.length
  return (
    <dl class="tiles">
      <Tile
        label="Writable"
        value={ratio === null ? <Unknown /> : formatShare(ratio)}
        note={observedMs === 0 ? 'nobody has looked yet' : `of ${formatDuration(observedMs)} that a client looked`}
      />
      <Tile label="Not writable" value={formatDuration(notWritableMs)} note="at least one shard" />
      <Tile
        label="Incidents"
        value={formatCount(incidents.length)}
        note={onPurpose === 0 ? 'none on purpose' : `${onPurpose} on purpose`}
      />
      <Tile
        label="Possibly lost"
        value={formatBytes(known.reduce((sum, bytes) => sum + bytes, 0))}
        note={notKnown === 0 ? 'as far as was seen' : `and ${notKnown} of which it is not known`}
      />
    </dl>
  )
}

export function LedgerShards({ shards }: { shards: Ledger['shards'] }) {
  const rows = Object.entries(shards)
  if (rows.length === 0) return null
  return (
    <section class="card" aria-labelledby="ledger-shards">
      <h2 id="ledger-shards">By shard</h2>
      <section class="scroll" aria-label="Availability as a table" tabIndex={0}>
        <table>
          <thead>
            <tr>
              <th scope="col">Shard</th>
              <th scope="col" class="number">
                Writable
              </th>
              <th scope="col" class="number">
                Not writable
              </th>
              <th scope="col" class="number">
                Looked at
              </th>
            </tr>
          </thead>
          <tbody>
            {rows.map(([shard, { ratio, notWritableMs, observedMs }]) => (
              <tr key={shard}>
                <th scope="row">{shard}</th>
                <td class="number">{ratio === null ? <Unknown /> : formatShare(ratio)}</td>
                <td class="number">{notWritableMs === 0 ? <None /> : formatDuration(notWritableMs)}</td>
                <td class="number">{formatDuration(observedMs)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </section>
    </section>
  )
}
