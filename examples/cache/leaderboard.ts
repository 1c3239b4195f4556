/**
 * Points, and who has most of them.
 *
 *     const board = leaderboard(cache, { name: 'season-3', shards: 8 })
 *     await board.add('ada', 10, { operation: `match-${match.id}-ada` })
 *     const best = await board.top(10)
 *
 * One sorted set is one key on one node, which a popular game outgrows. So the players are spread over several, each on
 * a slot of its own; a player is always in the same one. The best of all are among the best of each.
 */
import { createHash } from 'node:crypto'
import type { Cache } from '@holdfast/cache'

export interface Place {
  readonly player: string
  readonly points: number
}

export interface BoardOptions {
  /** Letters and digits. */
  readonly name: string
  /** Must stay the same as long as the board lives: it decides where a player is. */
  readonly shards: number
}

export function leaderboard(cache: Pick<Cache, 'on'>, { name, shards }: BoardOptions) {
  const boards = Array.from({ length: shards }, (_, shard) => cache.on(`{board:${name}:${shard}}`))

  const boardOf = (player: string) => {
    const shard = createHash('sha1').update(player).digest().readUInt32BE(0) % shards
    const board = boards[shard]
    if (board === undefined) throw new RangeError('a board has at least one shard')
    return board
  }

  return {
    /**
     * The player's points afterwards. An addition must not happen twice: while the primary fails over, it is sent again
     * under the same operation id, and counted once. Name the operation if you yourself may call this twice.
     */
    async add(player: string, points: number, options: { operation?: string } = {}): Promise<number> {
      const board = boardOf(player)
      return Number(await board.call(['ZINCRBY', board.key('points'), points, player], options))
    },

    async pointsOf(player: string): Promise<number | undefined> {
      const board = boardOf(player)
      const points = await board.call(['ZSCORE', board.key('points'), player])
      return points === null ? undefined : Number(points)
    },

    /**
     * The best `count`, best first; of equals, the name decides. `fromReplicas`: for a page that may be a moment old and
     * is asked for all the time.
     */
    async top(count: number, { fromReplicas = false } = {}): Promise<readonly Place[]> {
      const best = await Promise.all(
        boards.map((board) => {
          const command = ['ZREVRANGE', board.key('points'), 0, count - 1, 'WITHSCORES'] as const
          return board.call<readonly unknown[]>(command, { readReplica: fromReplicas })
        }),
      )
      return best
        .flatMap(placesOf)
        .sort((a, b) => b.points - a.points || (a.player < b.player ? -1 : 1))
        .slice(0, count)
    },
  }
}

/** Members and scores follow each other, or come in pairs, as the protocol has it. */
function placesOf(reply: readonly unknown[]): readonly Place[] {
  const flat = reply.flat()
  return flat.flatMap((player, at) => (at % 2 === 0 ? [{ player: String(player), points: Number(flat[at + 1]) }] : []))
}
