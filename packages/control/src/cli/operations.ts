import type { Operation } from '@holdfast/core'
import { chooseName, statusOnceSeen, withApi } from './connect.ts'
import type { Context } from './context.ts'
import { table } from './table.ts'

/** `holdfast operations NAME`: what was asked for, the latest last. */
export async function operations(
  context: Context,
  name: string | undefined,
  { json }: { readonly json?: boolean },
): Promise<void> {
  await withApi(context, { acts: false }, async (api) => {
    const status = await statusOnceSeen(api, await chooseName(api, name))
    if (json === true) return context.out(JSON.stringify(status.operations, null, 2))
    if (status.operations.length === 0) return context.say(`nothing was asked of ${status.name}`)
    context.out(table([['ID', 'ASKED', 'WHAT', 'STATE', 'BECAUSE'], ...status.operations.map(rowOf)]))
  })
}

/** `holdfast cancel NAME ID`: an operation that is over stays as it ended, and says so. */
export async function cancel(context: Context, name: string, id: string): Promise<void> {
  await withApi(context, { acts: false }, async (api) => {
    const { state, because } = await api.cancelOperation(await chooseName(api, name), id)
    context.out(`${state}: ${because}`)
  })
}

const rowOf = ({ id, requestedAt, kind, subject, state, because }: Operation): string[] => [
  id,
  new Date(requestedAt).toISOString(),
  `${kind} ${subject}`,
  state,
  because,
]
