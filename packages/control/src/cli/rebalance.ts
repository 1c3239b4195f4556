import type { BalanceKind, RebalancePreview } from '@holdfast/core'
import { balanceKinds, formatBytes, formatDuration, HoldfastError } from '@holdfast/core'
import { chooseName, statusOnceSeen, withApi } from './connect.ts'
import type { Context } from './context.ts'
import { table } from './table.ts'

export interface RebalanceOptions {
  readonly by?: string
  readonly weight?: readonly string[]
  readonly json?: boolean
}

/** `holdfast plan NAME --rebalance`: which slots would move, from whom to whom, how long it takes, and why. */
export async function planRebalance(
  context: Context,
  name: string,
  { by = 'slots', weight = [], json = false }: RebalanceOptions,
): Promise<void> {
  const wish = { by: kindOf(by), weights: new Map(weight.map(weightOf)) }
  await withApi(context, { acts: false }, async (api) => {
    const chosen = await chooseName(api, name)
    await statusOnceSeen(api, chosen)
    const preview = await api.previewRebalance(chosen, wish)
    if (json) return context.out(JSON.stringify(preview, null, 2))
    for (const line of linesOf(preview)) context.out(line)
  })
}

export function kindOf(text: string): BalanceKind {
  const kind = balanceKinds.find((one) => one === text)
  if (kind !== undefined) return kind
  throw new HoldfastError('USAGE', `--by ${text}: say one of ${balanceKinds.join(', ')}`)
}

export function weightOf(text: string): [string, number] {
  const [, shard, number] = /^([a-z0-9-]+)=(\d+(?:\.\d+)?)$/.exec(text) ?? []
  if (shard !== undefined) return [shard, Number(number)]
  throw new HoldfastError(
    'USAGE',
    `--weight ${text}: say a shard and its share, such as shard-2=0.5; with 0 it is emptied, and who is not named has 1`,
  )
}

export function linesOf({ because, moves, notes }: RebalancePreview): string[] {
  const rows = moves.map((move) => [
    move.from,
    move.to,
    String(move.count),
    move.bytes === null ? '?' : formatBytes(move.bytes),
    formatDuration(move.expectedMs),
    move.because,
  ])
  const titles = ['from', 'to', 'slots', 'bytes', 'expected', 'why']
  return [
    because,
    ...(rows.length === 0 ? [] : ['', table([titles, ...rows])]),
    ...notes.map((note) => `note: ${note}`),
  ]
}
