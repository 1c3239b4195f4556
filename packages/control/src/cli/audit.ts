import type { AuditRecord, AuditVerdict } from '../store/audit-log.ts'
import { withApi } from './connect.ts'
import type { Context } from './context.ts'
import { table } from './table.ts'

interface AuditOptions {
  readonly verify?: boolean
  readonly json?: boolean
  readonly limit: string
}

/** `holdfast audit`: who did what, oldest first; with `--verify`, whether the log is as it was written. */
export async function audit(context: Context, { verify, json, limit }: AuditOptions): Promise<number> {
  return withApi(context, { acts: false }, async (api) => {
    if (verify === true) {
      const verdict = await api.ask<AuditVerdict>('GET', '/audit/verdict')
      context.out(json === true ? JSON.stringify(verdict, null, 2) : verdict.because)
      return verdict.whole ? 0 : brokenExit
    }
    const path = `/audit?limit=${encodeURIComponent(limit)}`
    const { records } = await api.ask<{ records: readonly AuditRecord[] }>('GET', path)
    const ordered = records.toReversed()
    if (json === true) for (const record of ordered) context.out(JSON.stringify(record))
    else if (ordered.length === 0) context.say('nothing was asked yet')
    else context.out(table([['SEQ', 'AT', 'WHO', 'FROM', 'WHAT', 'ON', 'OUTCOME'], ...ordered.map(rowOf)]))
    return 0
  })
}

/** As what is refused as unsafe. */
const brokenExit = 3

const rowOf = ({ seq, at, kind, who, from, what, on, outcome, code }: AuditRecord): string[] => [
  String(seq),
  new Date(at).toISOString(),
  who === '' ? kind : `${kind} ${who}`,
  from,
  what.replace('/api/v1/', ''),
  on,
  code === null ? outcome : `${outcome} (${code})`,
]
