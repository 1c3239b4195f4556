import type { DemoKey, DemoState, LaneName, Status } from '@holdfast/core'
import { signal } from '@preact/signals'
import type { ComponentChildren } from 'preact'
import { formatTime } from '../figures.ts'
import { type Move, wayOf } from '../key-way.ts'
import { nodeTone } from '../tone.ts'
import { Mark } from './mark.tsx'

interface ChosenKey extends DemoKey {
  readonly lane: LaneName
}

const chosen = signal<ChosenKey | undefined>(undefined)

/** Shows the way of a key that stands somewhere else on the page. */
export function showWay(key: ChosenKey): void {
  chosen.value = key
  document.getElementById('way')?.scrollIntoView({ block: 'nearest' })
}

interface Props {
  readonly keys: DemoState['keys']
  readonly status: Status | undefined
  readonly moves: readonly Move[]
  readonly now: number
}

/** How a key gets to its node, and where it moved. */
export function KeyWay({ keys, status, moves, now }: Props) {
  // Until somebody chooses: one that has just moved.
  const movedShard = moves.at(-1)?.shard
  const first = keys.find(({ key: name }) => wayOf(name, status).shard === movedShard) ?? keys[0]
  const key = chosen.value ?? (first === undefined ? undefined : { ...first, lane: 'holdfast' as const })
  return (
    <section class="card" aria-labelledby="way">
      <h2 id="way">Where a key lives</h2>
      <div class="keys" role="group" aria-label="Keys to follow">
        {keys.map((one) => (
          <button
            key={one.key}
            type="button"
            class="quiet key"
            aria-pressed={one.key === key?.key}
            onClick={() => {
              chosen.value = { ...one, lane: 'holdfast' }
            }}
          >
            {one.label}
          </button>
        ))}
      </div>
      {key !== undefined && <Way of={key} status={status} moves={moves} now={now} />}
    </section>
  )
}

function Way({ of: key, status, moves, now }: { of: ChosenKey } & Omit<Props, 'keys'>) {
  const { slot, shard, node } = wayOf(key.key, status)
  if (key.lane === 'bare') {
    return (
      <ol class="way" aria-label={`The way of ${key.label}`}>
        <Step name="Key">
          <code>{key.key}</code>
        </Step>
        <Step name="Slot">{slot}</Step>
        <Step name="Shard">on the engine alone, which nobody watches</Step>
      </ol>
    )
  }
  const movesOfKey = moves.filter((move) => move.shard === shard).slice(-5)
  return (
    <>
      <ol class="way" aria-label={`The way of ${key.label}`}>
        <Step name="Key">
          <code>{key.key}</code>
        </Step>
        <Step name="Slot">{slot}</Step>
        <Step name="Shard">{shard ?? <span class="unknown">nobody's</span>}</Step>
        <Step name="Node">
          {node === null ? (
            <span class="unknown">nobody serves it now</span>
          ) : (
            <span class="member">
              <Mark tone={nodeTone(node.state)} />
              {node.id} <span class="muted">port {node.port}</span>
            </span>
          )}
        </Step>
      </ol>
      <ul class="moves" aria-label={`Where ${key.label} moved`}>
        {movesOfKey.length === 0 && (
          <li class="muted">It has not moved. Kill a primary, and its keys move to its replica.</li>
        )}
        {movesOfKey.toReversed().map(({ at, from, to }) => (
          <li key={at}>
            slot {slot} · {shard} · {from} → <strong>{to}</strong> at {formatTime(at, now)}
          </li>
        ))}
      </ul>
    </>
  )
}

function Step({ name, children }: { name: string; children: ComponentChildren }) {
  return (
    <li>
      <span class="muted step-name">{name}</span>
      <span>{children}</span>
    </li>
  )
}
