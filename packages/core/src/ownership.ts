import type { ClusterView, ViewEntry } from './observed.ts'
import type { SlotRange } from './slots.ts'
import { countSlots, formatSlots, missingSlots, normalizeSlots, subtractSlots } from './slots.ts'

/** What one engine holds, as far as the living can tell. */
export interface Claim {
  readonly engineId: string
  readonly epoch: number
  readonly slots: readonly SlotRange[]
}

/**
 * Who owns which slot, from the views of all nodes that answer.
 *
 * An engine that answers speaks for itself: its own line is its claim. For one that does not, the line with the
 * highest config epoch speaks. Where claims overlap, the higher epoch wins, as it does among the engines themselves;
 * so a returning old primary takes nothing from the replica that was promoted in its place.
 */
export function slotOwners(views: readonly ClusterView[]): { owners: Claim[]; unowned: SlotRange[] } {
  const ranked = claimsOf(views).sort((a, b) => b.epoch - a.epoch || (a.engineId < b.engineId ? -1 : 1))
  let taken: SlotRange[] = []
  const owners: Claim[] = []
  for (const claim of ranked) {
    const slots = subtractSlots(claim.slots, taken)
    if (slots.length === 0) continue
    owners.push({ ...claim, slots })
    taken = normalizeSlots([...taken, ...slots])
  }
  return { owners, unowned: missingSlots(taken) }
}

/** Who the others still name as owner of a slot that its owner itself has let go. */
export function hearsayOwner(views: readonly ClusterView[], slot: number): string | undefined {
  return views
    .flatMap((view) => view.entries)
    .filter((entry) => entry.slots.some(([from, to]) => from <= slot && slot <= to))
    .sort((a, b) => b.configEpoch - a.configEpoch)[0]?.engineId
}

/** The later word; of two words of one epoch the larger, so that the order of the views does not matter. */
const saysMore = (one: ViewEntry, other: ViewEntry): boolean =>
  one.configEpoch !== other.configEpoch
    ? one.configEpoch > other.configEpoch
    : countSlots(one.slots) !== countSlots(other.slots)
      ? countSlots(one.slots) > countSlots(other.slots)
      : formatSlots(one.slots) < formatSlots(other.slots)

function claimsOf(views: readonly ClusterView[]): Claim[] {
  const speakingForThemselves = new Set(views.map((view) => view.me))
  const best = new Map<string, ViewEntry>()
  for (const view of views) {
    for (const entry of view.entries) {
      if (entry.engineId !== view.me && speakingForThemselves.has(entry.engineId)) continue
      const known = best.get(entry.engineId)
      if (known === undefined || saysMore(entry, known)) best.set(entry.engineId, entry)
    }
  }
  return [...best.values()]
    .filter((entry) => entry.slots.length > 0)
    .map((entry) => ({ engineId: entry.engineId, epoch: entry.configEpoch, slots: entry.slots }))
}
