/* Worlds broken at random: every fact that a planner reads may be wrong, missing, or from another time. */
import * as fc from 'fast-check'
import type { Break, Deployment } from './deployment.ts'
import {
  absent,
  aDeployment,
  afterReboot,
  aNewDeployment,
  askedAgo,
  away,
  behind,
  cameBackBlank,
  dead,
  engineIdOf,
  factsOf,
  failedStarts,
  fencedAgo,
  following,
  forgottenBy,
  lastSeenAgo,
  linkDown,
  loading,
  saysBusy,
  silentFor,
  starting,
  syncing,
  viewsOf,
  wiped,
  withFacts,
  withFiles,
  withoutAgent,
  withoutData,
  withoutRecord,
  withRecord,
} from './deployment.ts'

/** A break with its name, for the law that it breaks. */
interface Named {
  readonly told: string
  readonly change: Break
}

const named = (told: string, change: Break): Named => ({ told, change })

/** A break that the world does not allow, as others have left it, changes nothing. */
const ifPossible =
  (change: Break): Break =>
  (world) => {
    try {
      change(world)
    } catch {
      // Such a world has its other faults.
    }
  }

const shortMs = fc.constantFrom(0, 30, 300, 499, 500, 600, 1900)
const anyMs = fc.constantFrom(0, 30, 300, 500, 1900, 2000, 5000, 30_000, 61_000, 700_000)

/** Breaks of one node. */
function breaksOf(id: string, nodes: readonly string[]): fc.Arbitrary<Named> {
  const other = fc.constantFrom(...nodes)
  const just = (told: string, change: Break) => fc.constant(named(`${id} ${told}`, change))
  const within = (times: fc.Arbitrary<number>, told: string, change: (ms: number) => Break) =>
    times.map((ms) => named(`${id} ${told} ${ms}`, change(ms)))
  return fc.oneof(
    { weight: 4, arbitrary: just('dead', dead(id)) },
    just('dead and lingering', dead(id, { lingering: true })),
    just('absent', absent(id)),
    just('starting', starting(id)),
    just('loading', loading(id)),
    just('says busy', saysBusy(id)),
    just('away', away(id)),
    just('without agent', withoutAgent(id)),
    within(anyMs, 'silent and idle', (ms) => silentFor(id, ms)),
    within(anyMs, 'silent and busy', (ms) => silentFor(id, ms, 'burning CPU')),
    within(anyMs, 'silent and stopped', (ms) => silentFor(id, ms, 'stopped')),
    just('wiped', wiped(id)),
    just('without data', withoutData(id)),
    just('with a snapshot only', withFiles(id, { aof: false, rdb: true })),
    just('without record', withoutRecord(id)),
    just('recorded before the reboot', afterReboot(id)),
    just('recorded infinitely long ago', afterReboot(id, Number.NEGATIVE_INFINITY)),
    just('recorded as primary of epoch 9', withRecord(id, { role: 'primary', ownedSlots: true, configEpoch: 9 })),
    within(anyMs, 'last seen', (ms) => lastSeenAgo(id, ms)),
    within(anyMs, 'fenced', (ms) => fencedAgo(id, ms)),
    within(shortMs, 'asked by force', (ms) => askedAgo(id, ms)),
    within(shortMs, 'asked to take over', (ms) => askedAgo(id, ms, 'takeover')),
    within(shortMs, 'asked to switch', (ms) => askedAgo(id, ms, 'switchover')),
    within(anyMs, 'failed to start 4 times', (ms) => failedStarts(id, 4, ms)),
    within(anyMs, 'link down', (ms) => linkDown(id, ms)),
    just('syncing', syncing(id)),
    within(fc.nat(2_000_000), 'behind by', (bytes) => behind(id, bytes)),
    just('of another history', withFacts(id, { replid: 'c'.repeat(40) })),
    just('just started', withFacts(id, { uptimeSeconds: 0 })),
    just('came back blank', cameBackBlank(id, `${id.replace('node-', '').padStart(2, '0')}${'e'.repeat(38)}`)),
    just('lets its slots go', letGo(id)),
    other.map((primary) => named(`${id} follows ${primary}`, following(id, primary))),
    other.map((by) => named(`${id} forgotten by ${by}`, forgottenBy(id, by))),
    other.map((of) => named(`${id} owns the slots of ${of}`, owning(id, of))),
    fc
      .tuple(other, fc.constantFrom('migrating' as const, 'importing' as const), fc.constantFrom(null, 0, 7))
      .map(([peer, direction, keys]) =>
        named(`${id} ${direction} with ${peer}, ${keys} keys`, leftOpen(id, peer, direction, keys)),
      ),
  )
}

/** The heir was promoted in the place of that one: it owns its slots in a later epoch, by its own word at least. */
const owning =
  (heir: string, of: string): Break =>
  (world) => {
    const { slots } =
      viewsOf(world)
        .flatMap(({ entries }) => entries)
        .find(({ engineId }) => engineId === engineIdOf(of)) ?? {}
    for (const entry of factsOf(world, heir).view.entries) {
      if (entry.engineId === engineIdOf(heir)) {
        Object.assign(entry, { role: 'primary', follows: null, slots: slots ?? [], configEpoch: 20 })
      }
    }
    withFacts(heir, { role: 'primary', link: null })(world)
  }

/** By its own word it owns nothing any more. */
const letGo =
  (id: string): Break =>
  (world) => {
    for (const entry of factsOf(world, id).view.entries) if (entry.engineId === engineIdOf(id)) entry.slots = []
  }

const leftOpen =
  (id: string, peer: string, direction: 'migrating' | 'importing', keys: number | null): Break =>
  (world) => {
    factsOf(world, id).view.open.push({ slot: 100, direction, peer: engineIdOf(peer), keys })
  }

const shapes = fc.record({
  shards: fc.constantFrom(3, 5),
  replicas: fc.constantFrom(0, 1, 1, 2),
  isNew: fc.constantFrom(false, false, false, true),
  persistence: fc.constantFrom('hybrid', 'none', 'rdb'),
  use: fc.constantFrom('cache', 'primary-store'),
  swapped: fc.boolean(),
})

/** A deployment with up to ten things wrong with it. */
export const brokenDeployments: fc.Arbitrary<Deployment> = shapes.chain(
  ({ shards, replicas, isNew, persistence, use, swapped }) => {
    const build = isNew ? aNewDeployment : aDeployment
    const primaries: Record<string, string> = swapped && replicas > 0 ? { 'shard-1': `node-${shards + 1}` } : {}
    const deployment = build({ shards, replicas, primaries, spec: { persistence, use } })
    const nodes = deployment.document.nodes.map(({ id }) => id)
    // Most of what happens happens to one shard, so that its rules meet.
    const firstShard = nodes.filter((_, index) => index % shards === 0)
    const hit = fc.oneof({ weight: 3, arbitrary: fc.constantFrom(...firstShard) }, fc.constantFrom(...nodes))
    const shape = `${isNew ? 'a new ' : ''}${shards}x${1 + replicas} ${persistence} ${use} led by ${primaries['shard-1'] ?? 'node-1'}`
    return fc
      .array(
        hit.chain((id) => breaksOf(id, nodes)),
        { maxLength: 10 },
      )
      .map((breaks) =>
        deployment
          .with(...breaks.map(({ change }) => ifPossible(change)))
          .named([shape, ...breaks.map(({ told }) => told)]),
      )
  },
)
