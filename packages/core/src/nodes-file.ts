/**
 * The engine's own file of the cluster, `nodes.conf`, before it is read again. A node's line has an address with fields
 * behind it, flags, and the id of the primary that it follows:
 * `<id> <ip:port@bus,hostname,tls-port=0,shard-id=…> <flags> <primary or -> <ping> <pong> <epoch> <link> <slot> …`
 *
 * Engines that name shards (Redis 7.2, Valkey) hear the name of a replica's shard a moment after they hear whom it
 * follows. Valkey 8.0 writes down what it has, and when it was killed in that moment, it calls the file corrupt and
 * never starts again. The primary's name is the right one: it is what the replica would have said next.
 */

/** The same file with each replica in the shard of its primary; null where nothing is to be mended. */
export function mendShardIds(text: string): string | null {
  const lines = text.split('\n').map((line) => {
    const [engineId = '', where = '', , follows = ''] = line.split(' ')
    return { line, engineId, follows, shard: shardIdIn(where) }
  })
  const known = new Map(lines.map((entry) => [entry.engineId, entry]))
  const mended = lines.map(({ line, follows, shard }) => {
    // A primary may be written down as a replica by now; a circle of those leads nowhere, and is left.
    let primary = known.get(follows)
    for (let steps = 0; steps < lines.length && primary !== undefined && known.has(primary.follows); steps++) {
      primary = known.get(primary.follows)
    }
    if (shard === null || primary === undefined || primary.shard === null) return line
    return line.replace(`shard-id=${shard}`, `shard-id=${primary.shard}`)
  })
  const result = mended.join('\n')
  return result === text ? null : result
}

const shardIdIn = (where: string): string | null => /,shard-id=([0-9a-f]{40})(?:,|$)/.exec(where)?.[1] ?? null
