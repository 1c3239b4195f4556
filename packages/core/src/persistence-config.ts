/**
 * What `persistence` means in the engine's directives, and how the nodes of a host are kept from writing at once.
 *
 * - `rdb`: snapshots by save points. Cheap, and a power failure costs what came after the last one.
 * - `aof`: every write to a log, on disk within a second or two, written anew when it has doubled.
 * - `hybrid`: the same, and each new log begins with a snapshot: it loads many times faster.
 * - `none`: nothing. What starts, starts empty.
 *
 * With a log there are no save points: a snapshot would copy on write a second time, for what the log has already.
 */

const mb = 1024 ** 2

/** After 15 minutes with a change, 5 minutes with 10, a minute with 10 000. */
const savePoints = '900 1 300 10 60 10000'

export function persistenceDirectives(mode: 'none' | 'rdb' | 'aof' | 'hybrid'): Record<string, string> {
  const logs = mode === 'aof' || mode === 'hybrid'
  return {
    save: mode === 'rdb' ? savePoints : '',
    appendonly: logs ? 'yes' : 'no',
    'aof-use-rdb-preamble': mode === 'aof' ? 'no' : 'yes',
    appendfsync: 'everysec',
    'auto-aof-rewrite-percentage': '100',
    'auto-aof-rewrite-min-size': String(64 * mb),
    'aof-rewrite-incremental-fsync': 'yes',
    'rdb-save-incremental-fsync': 'yes',
  }
}

/** Nodes beyond this many share a place in the row. */
const placesMax = 12

/**
 * The directives of one node. What an engine does by itself, it does by the same measures on every node: copies of a
 * shard get the same writes, so their logs double and their save points are due in the same second. So each node of a
 * deployment waits a little longer than the one before: 2 percent of growth, a fiftieth of a save point's time. Never
 * shorter than what is said of the deployment, and at most a quarter longer.
 */
export function ownedBy(node: string, owned: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const place = (Number(/\d+$/.exec(node)?.[0] ?? 1) - 1) % placesMax
  const later: Record<string, string> = { ...owned }
  if (owned['save'] !== undefined) later['save'] = delaySavePoints(owned['save'], place)
  if (owned['auto-aof-rewrite-percentage'] !== undefined) {
    later['auto-aof-rewrite-percentage'] = String(Number(owned['auto-aof-rewrite-percentage']) + 2 * place)
  }
  return later
}

/** `900 1 300 10`: every other word is a number of seconds. */
const delaySavePoints = (points: string, place: number): string =>
  points
    .split(' ')
    .map((word, index) => (index % 2 === 1 || word === '' ? word : String(Math.round(Number(word) * (1 + place / 50)))))
    .join(' ')
