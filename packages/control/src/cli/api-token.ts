import { duration, HoldfastError } from '@holdfast/core'
import { withApi } from './connect.ts'
import type { Context } from './context.ts'
import { table } from './table.ts'

interface TokenShown {
  readonly id: string
  readonly name: string
  readonly grants: readonly { readonly role: string; readonly deployment: string | null }[]
  readonly scope: string | null
  readonly createdBy: string
  readonly expiresAt: number
  readonly isExpired: boolean
}

export interface TokenOptions {
  readonly role?: string
  readonly deployment?: string
  readonly scope?: string
  readonly name?: string
  readonly expires: string
}

/** `holdfast api-token create`: shown once. stdout is the token and nothing else, for scripts. */
export async function createToken(context: Context, options: TokenOptions): Promise<void> {
  const { role, scope, deployment, expires } = options
  if (role === undefined && scope === undefined) {
    throw new HoldfastError('USAGE', 'say what it may do: --role viewer, operator or admin, or --scope topology')
  }
  const life = duration.safeParse(expires)
  if (!life.success) throw new HoldfastError('USAGE', '--expires: write a time such as 12h or 30d')
  const name = options.name ?? scope ?? role
  const asked = { name, role: role ?? null, scope: scope ?? null, deployment: deployment ?? null }
  await withApi(context, { acts: false }, async (api) => {
    const body = { ...asked, expiresInMs: life.data }
    const made = await api.ask<TokenShown & { token: string }>('POST', '/api-tokens', body)
    const end = new Date(made.expiresAt).toISOString()
    context.say(`token ${made.id} (${mayOf(made)}) until ${end}. It is shown once, and kept only as a hash:`)
    context.out(made.token)
  })
}

/** `holdfast api-token list`: all that there are, without their secrets. */
export async function listTokens(context: Context, { json }: { readonly json?: boolean }): Promise<void> {
  await withApi(context, { acts: false }, async (api) => {
    const { tokens } = await api.ask<{ tokens: readonly TokenShown[] }>('GET', '/api-tokens')
    if (json === true) return context.out(JSON.stringify(tokens, null, 2))
    if (tokens.length === 0) return context.say('there is no token: "holdfast api-token create" makes one')
    const rows = tokens.map((token) => {
      const end = `${token.isExpired ? 'ended ' : ''}${new Date(token.expiresAt).toISOString()}`
      return [token.id, token.name, mayOf(token), end, token.createdBy]
    })
    context.out(table([['ID', 'NAME', 'MAY', 'UNTIL', 'MADE BY'], ...rows]))
  })
}

/** `holdfast api-token revoke ID`: at once, and open streams with it end within seconds. */
export async function revokeToken(context: Context, id: string): Promise<void> {
  await withApi(context, { acts: false }, async (api) => {
    await api.ask('DELETE', `/api-tokens/${encodeURIComponent(id)}`)
    context.say(`token ${id} is revoked`)
  })
}

const mayOf = ({ scope, grants }: TokenShown): string =>
  grants
    .map(
      ({ role, deployment }) =>
        `${scope === null ? role : `${scope} feed`}${deployment === null ? '' : ` of ${deployment}`}`,
    )
    .join(', ')
