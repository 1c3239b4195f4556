/** A process that writes behind: to be killed and frozen by a test, which is told what happens over the IPC channel. */
import { Pool } from 'pg'
import { systemClock } from '../../packages/cache/src/clock.ts'
import { jsonCodec } from '../../packages/cache/src/codecs.ts'
import { openEngine } from '../../packages/cache/src/engine/open-engine.ts'
import type { Address } from '../../packages/cache/src/engine/topology.ts'
import type { Store } from '../../packages/cache/src/store.ts'
import type { WriteBehindOptions } from '../../packages/cache/src/write-behind/settings.ts'
import { openWriteBehind } from '../../packages/cache/src/write-behind/write-behind.ts'
import { versionedTable } from './versioned-table.ts'

export interface ProcessTerms {
  readonly address: Address
  readonly postgres: string
  readonly table: string
  readonly options: WriteBehindOptions
  /** Writes counters to so many keys, ten at a time, as fast as it can. */
  readonly produce?: number
  /** What it does to itself at its first save. */
  readonly hurt?: 'die after commit' | 'freeze before commit'
}

export type Said =
  | { readonly kind: 'ready' }
  | { readonly kind: 'acknowledged'; readonly key: string; readonly value: number; readonly version: number }
  | { readonly kind: 'freezing' }
  | { readonly kind: 'lost ownership' }
  /** A save was done that began before a freeze; these are the versions that the table had afterwards. */
  | { readonly kind: 'woken save'; readonly asked: readonly (number | undefined)[]; readonly stored: readonly number[] }

const say = (said: Said): void => void process.send?.(said)

const terms = JSON.parse(process.env['WRITE_BEHIND'] ?? '') as ProcessTerms
const pool = new Pool({ connectionString: terms.postgres, max: 2 })
const table = await versionedTable<number>(pool, terms.table)

let hurt = terms.hurt
const store: Store<number> = {
  ...table,
  async saveMany(writes, context) {
    const mine = hurt
    hurt = undefined
    if (mine === 'freeze before commit') {
      say({ kind: 'freezing' })
      process.kill(process.pid, 'SIGSTOP')
    }
    const stored = await table.saveMany(writes, context)
    if (mine === 'die after commit') process.kill(process.pid, 'SIGKILL')
    if (mine === 'freeze before commit') {
      const versions = stored.map(({ version }) => version)
      say({ kind: 'woken save', asked: writes.map(({ version }) => version), stored: versions })
    }
    return stored
  },
}

const engine = openEngine({ topology: 'standalone', addresses: [terms.address], track: [] }, { clock: systemClock })
const behind = openWriteBehind({
  engine,
  store,
  prefix: 'shop:w:',
  codec: jsonCodec,
  clock: systemClock,
  options: terms.options,
  events: { lostOwnership: () => say({ kind: 'lost ownership' }) },
})
await behind.ready
say({ kind: 'ready' })

let value = 0
const { produce = 0 } = terms
const write = async (): Promise<void> => {
  for (;;) {
    const mine = ++value
    const key = `k${mine % produce}`
    const { version } = await behind.set(key, mine)
    say({ kind: 'acknowledged', key, value: mine, version })
  }
}
if (produce > 0) await Promise.all(Array.from({ length: 10 }, write))
