import { countSlots, missingSlots, type ShardStatus, type SlotRange, slotCountTotal } from '@holdfast/core'

/** All 16384 slots and who owns them. The table beside it says the same in words. */
export function SlotBar({ shards }: { shards: readonly ShardStatus[] }) {
  const missing = missingSlots(shards.flatMap((shard) => shard.slots))
  const words = shards.map((shard) => `${shard.id} ${countSlots(shard.slots)}`)
  if (missing.length > 0) words.push(`nobody ${countSlots(missing)}`)
  return (
    <figure class="slot-bar">
      <svg
        viewBox={`0 0 ${slotCountTotal} 10`}
        preserveAspectRatio="none"
        role="img"
        aria-label={`Slots: ${words.join(', ')}`}
      >
        {shards.map((shard, index) => (
          <Ranges key={shard.id} ranges={shard.slots} shade={shadeOf(index)} title={shard.id} />
        ))}
        <Ranges ranges={missing} shade="shade-nobody" title="owned by nobody" />
      </svg>
      <figcaption>
        <span>slot 0</span>
        {missing.length > 0 && <strong class="bad-words">{countSlots(missing)} slots are owned by nobody</strong>}
        <span>{slotCountTotal - 1}</span>
      </figcaption>
    </figure>
  )
}

/** Neighbours differ; who is who says the table. */
export const shadeOf = (index: number): string => `shade-${index % 4}`

function Ranges({ ranges, shade, title }: { ranges: readonly SlotRange[]; shade: string; title: string }) {
  return (
    <>
      {ranges.map(([from, to]) => (
        <rect key={from} class={shade} x={from} width={to - from + 1} height="10">
          <title>
            {title}: {from}–{to}
          </title>
        </rect>
      ))}
    </>
  )
}
