import type { Grant } from '@holdfast/core'
import { confirm } from './ask.ts'
import { withApi } from './connect.ts'
import type { Context } from './context.ts'
import { table } from './table.ts'

interface UserShown {
  readonly name: string
  readonly grants: readonly Grant[]
  readonly may: string
  readonly createdAt: number
}

export interface PlaceOptions {
  readonly role: string
  readonly deployment?: string
}

/** `holdfast user add NAME --role R`: his password is made, shown once, and kept as a hash. */
export async function addUser(context: Context, name: string, { role, deployment }: PlaceOptions): Promise<void> {
  await withApi(context, { acts: false }, async (api) => {
    const body = { name, role, deployment: deployment ?? null }
    const made = await api.ask<UserShown & { password: string }>('POST', '/users', body)
    context.say(`${name} is ${made.may}. The password is shown once, and kept only as a hash:`)
    context.out(`${name} / ${made.password}`)
  })
}

/** `holdfast user list`: who may sign in, and as what. */
export async function listUsers(context: Context, { json }: { readonly json?: boolean }): Promise<void> {
  await withApi(context, { acts: false }, async (api) => {
    const { users } = await api.ask<{ users: readonly UserShown[] }>('GET', '/users')
    if (json === true) return context.out(JSON.stringify(users, null, 2))
    const rows = users.map(({ name, may, createdAt }) => [name, may, new Date(createdAt).toISOString()])
    context.out(table([['NAME', 'MAY', 'SINCE'], ...rows]))
  })
}

/** `holdfast user role NAME --role R`: another role in one place, or with `none` no role there any more. */
export async function setRole(context: Context, name: string, { role, deployment }: PlaceOptions): Promise<void> {
  await withApi(context, { acts: false }, async (api) => {
    const body = { role: role === 'none' ? null : role, deployment: deployment ?? null }
    const { may } = await api.ask<UserShown>('PUT', `/users/${encodeURIComponent(name)}/role`, body)
    context.say(`${name} is ${may} now; his sessions are over`)
  })
}

/** `holdfast user password NAME`: another one. The old one and all his sessions end at once. */
export async function newPassword(context: Context, name: string): Promise<void> {
  await withApi(context, { acts: false }, async (api) => {
    const path = `/users/${encodeURIComponent(name)}/password`
    const { password } = await api.ask<{ password: string }>('POST', path)
    context.say('The old password and all sessions with it have ended. Shown once, kept only as a hash:')
    context.out(`${name} / ${password}`)
  })
}

/** `holdfast user remove NAME`. */
export async function removeUser(context: Context, name: string, { yes = false }: { yes?: boolean }): Promise<void> {
  await confirm(context, `Remove the user ${name}? His sessions end at once.`, yes)
  await withApi(context, { acts: false }, async (api) => {
    await api.ask('DELETE', `/users/${encodeURIComponent(name)}`)
    context.say(`${name} is removed; his sessions are over`)
  })
}
