import type { Grant, Role } from '@holdfast/core'
import { describeGrants, HoldfastError, regrant, roleOn, roles } from '@holdfast/core'
import type { FastifyPluginAsync } from 'fastify'
import type { Clock } from '../../clock.ts'
import type { Access, User } from '../../store/access.ts'
import { generatePassword, hashPassword } from '../auth/password.ts'
import type { Fields } from '../body.ts'
import { oneOf, parseFields, text, usage } from '../body.ts'

interface Options {
  readonly access: Access
  readonly clock: Clock
}

interface ByUser {
  Params: { user: string }
}

const usersMax = 200
/** These say in events and in the audit log who it was that was no user. */
const taken = ['cli', 'nobody', 'controller', 'holdfast']

/** Who may sign in, and as what. A password is made here and shown once. */
export const userRoutes: FastifyPluginAsync<Options> = async (app, { access, clock }) => {
  app.get('/users', async () => ({ users: access.users().map(shown) }))

  app.post('/users', async ({ body, change }, reply) => {
    const fields = parseFields(body, ['name', 'role', 'deployment'])
    const name = nameOf(fields)
    if (access.users().length >= usersMax) throw usage(`${usersMax} users are all there can be: remove one first`)
    const grants = [{ role: oneOf(fields, 'role', roles), deployment: deploymentOf(fields) }]
    const password = generatePassword()
    const user: User = { name, hash: await hashPassword(password), grants, createdAt: Math.round(clock.wall()) }
    if (!(await access.addUser(user))) throw usage(`there is a user ${name} already`)
    Object.assign(change, { before: null, after: { may: describeGrants(grants) } })
    return reply.code(201).send({ ...shown(user), password })
  })

  app.delete<ByUser>('/users/:user', async ({ params, change }) => {
    const user = known(params.user)
    refuseLastAdmin(user.name, [])
    await access.changeUser(user, undefined)
    Object.assign(change, { before: { may: describeGrants(user.grants) }, after: null })
    return { name: user.name, removed: true }
  })

  app.post<ByUser>('/users/:user/password', async ({ params }) => {
    const password = generatePassword()
    const hash = await hashPassword(password)
    const user = known(params.user)
    await access.changeUser(user, { ...user, hash })
    return { name: user.name, password }
  })

  app.put<ByUser>('/users/:user/role', async ({ params, body, change }) => {
    const fields = parseFields(body, ['role', 'deployment'])
    const role: Role | null = (fields['role'] ?? null) === null ? null : oneOf(fields, 'role', roles)
    const user = known(params.user)
    const grants = regrant(user.grants, deploymentOf(fields), role)
    refuseLastAdmin(user.name, grants)
    await access.changeUser(user, { ...user, grants })
    Object.assign(change, { before: { may: describeGrants(user.grants) }, after: { may: describeGrants(grants) } })
    return shown({ ...user, grants })
  })

  function known(name: string): User {
    const user = access.user(name)
    if (user !== undefined) return user
    throw new HoldfastError('NOT_FOUND', `there is no user ${name.slice(0, 80)}: "holdfast user list" shows all`)
  }

  function refuseLastAdmin(name: string, grants: readonly Grant[]): void {
    const others = access.users().filter((user) => user.name !== name)
    const left = [...others.map((user) => user.grants), grants]
    if (left.some((one) => roleOn(one, null) === 'admin')) return
    throw new HoldfastError(
      'REFUSED_UNSAFE',
      `${name} is the last administrator of all deployments: make another one first. Nothing was changed.`,
    )
  }
}

const shown = ({ name, grants, createdAt }: User) => ({ name, grants, may: describeGrants(grants), createdAt })

function nameOf(fields: Fields): string {
  const name = text(fields, 'name', 40)
  if (!/^[a-z][a-z0-9._-]*$/.test(name)) {
    throw usage('name: 1 to 40 of a-z, 0-9, dot, _ and -, beginning with a letter')
  }
  if (taken.includes(name)) throw usage(`name: ${taken.join(', ')} stand for something else`)
  return name
}

/** Null: all of them. It need not exist yet. */
export function deploymentOf(fields: Fields): string | null {
  if ((fields['deployment'] ?? null) === null) return null
  const name = text(fields, 'deployment', 40)
  if (/^[a-z][a-z0-9-]*$/.test(name)) return name
  throw usage('deployment: the name of one, or null for all')
}
