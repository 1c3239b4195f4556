import type { NodeStatus, Status } from '@holdfast/core'
import { formatBytes, formatSlots } from '@holdfast/core'
import { chooseName, withApi } from './connect.ts'
import type { Context } from './context.ts'

export interface StatusOptions {
  readonly json?: boolean
  readonly watch?: boolean
}

/** `holdfast status`: how it is, why, and every node. */
export async function status(
  context: Context,
  name: string | undefined,
  { json, watch }: StatusOptions,
): Promise<void> {
  await withApi(context, false, async (api) => {
    const chosen = await chooseName(api, name)
    for (;;) {
      const now = await api.status(chosen)
      const text = json === true ? JSON.stringify(now, null, 2) : renderStatus(now)
      if (watch !== true) return context.out(text)
      context.out(`\u001B[2J\u001B[H${text}`)
      await new Promise((resolve) => setTimeout(resolve, 1000))
    }
  })
}

export function renderStatus(status: Status): string {
  const { controller, engine } = status
  const head = [
    `${status.name}   ready: ${status.ready}   ${status.because}`,
    `${engine === null ? 'engine unknown' : `${engine.flavor} ${engine.version}`}, revision ${status.settledRevision} of ${status.specRevision} settled, ${status.copiesInSync} copies in sync`,
    controller.lease === 'none'
      ? 'no controller runs'
      : `controller ${controller.id}, epoch ${controller.epoch}, lease ${controller.lease}`,
    `a fault may cost: ${status.lossWindow}`,
  ]
  const slotsOf = new Map(status.shards.map((shard) => [shard.primary, formatSlots(shard.slots)]))
  const rows = status.nodes.map((node) => [
    node.shard,
    node.id,
    node.role,
    node.state,
    `${node.host}:${node.port}`,
    node.pid === null ? '-' : String(node.pid),
    slotsOf.get(node.id) ?? '-',
    memoryOf(node),
    orUnknown(node.opsPerSecond),
    orUnknown(node.keys),
    linkOf(node),
  ])
  const titles = ['SHARD', 'NODE', 'ROLE', 'STATE', 'ADDRESS', 'PID', 'SLOTS', 'MEMORY', 'OPS/S', 'KEYS', 'LINK']
  return [...head, '', table([titles, ...rows])].join('\n')
}

const orUnknown = (value: number | null): string => (value === null ? '?' : String(value))

function memoryOf({ memoryBytes, memoryMaxBytes }: NodeStatus): string {
  return memoryBytes === null || memoryMaxBytes === null
    ? '?'
    : `${formatBytes(memoryBytes)} of ${formatBytes(memoryMaxBytes)}`
}

function linkOf({ role, link, lag }: NodeStatus): string {
  if (role !== 'replica') return '-'
  return lag === null ? (link ?? '?') : `${link}, ${formatBytes(lag)} behind`
}

function table(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)))
  return rows
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}
