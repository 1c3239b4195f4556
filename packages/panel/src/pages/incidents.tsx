import type { Ledger } from '@holdfast/core'
import { useSignal } from '@preact/signals'
import { useEffect } from 'preact/hooks'
import { ApiError, api, streams } from '../api.ts'
import { now } from '../clock.ts'
import { follow } from '../follow.ts'
import { Incidents } from '../parts/incidents.tsx'
import { LedgerShards, LedgerTiles } from '../parts/ledger.tsx'
import { NowherePage } from './nowhere.tsx'

/** How soon after an event the ledger is read again, and once more when what it led to has settled. */
const soonMs = 400
const settledMs = 3500

/** The ledger of one deployment: how available it was to a client, and each incident with its timeline. */
export function IncidentsPage({ name }: { name: string }) {
  const ledger = useSignal<Ledger | undefined>(undefined)
  const trouble = useSignal('')

  useEffect(() => {
    document.title = `Incidents of ${name} – Holdfast`
    const load = () =>
      api.incidents(name).then(
        (found) => {
          ledger.value = found
          trouble.value = ''
        },
        (error: unknown) => {
          if (error instanceof ApiError && error.status === 404) trouble.value = error.message
        },
      )
    let soon: ReturnType<typeof setTimeout> | undefined
    let settled: ReturnType<typeof setTimeout> | undefined
    const hear = () => {
      soon ??= setTimeout(() => {
        soon = undefined
        void load()
      }, soonMs)
      clearTimeout(settled)
      settled = setTimeout(() => void load(), settledMs)
    }
    void load()
    const stop = follow({
      url: (after) => streams.events(name, after),
      onData: hear,
    })
    return () => {
      stop()
      clearTimeout(soon)
      clearTimeout(settled)
    }
  }, [name])

  if (trouble.value !== '') return <NowherePage what={`${trouble.value}.`} />
  if (ledger.value === undefined) return <p class="muted">Reading the ledger of {name}…</p>
  const found = ledger.value
  return (
    <>
      <div class="ledger-head">
        <h1 class="page-title">Incidents of {name}</h1>
        <a href={`/d/${name}`}>Back to {name}</a>
        <p class="because" role="status" aria-live="polite">
          {found.because}
        </p>
      </div>
      <LedgerTiles ledger={found} />
      <Incidents incidents={found.incidents} now={now.value} />
      <LedgerShards shards={found.shards} />
    </>
  )
}
