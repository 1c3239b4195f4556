/**
 * The passwords of a deployment, and how one takes the place of another: first both are valid everywhere, then the new
 * one is used and shown, then the old one goes. Under `app` is the password that is used; `app.next` will be, and
 * `app.previous` was. An engine accepts all that are there.
 *
 * So how far a replacement came is read from what is kept, and not from a counter beside it.
 */
export type Secrets = Readonly<Record<string, string>>

const nextOf = (user: string): string => `${user}.next`
const previousOf = (user: string): string => `${user}.previous`

const isNext = (key: string): boolean => key.endsWith('.next')

/** Every password that is valid now, the one that is used first. */
export const validPasswords = (secrets: Secrets, user: string): string[] =>
  [secrets[user], secrets[nextOf(user)], secrets[previousOf(user)]].filter(
    (password) => password !== undefined && password !== '',
  ) as string[]

export const hasNext = (secrets: Secrets, user: string): boolean => secrets[nextOf(user)] !== undefined
export const hasPrevious = (secrets: Secrets, user: string): boolean => secrets[previousOf(user)] !== undefined

/** Another password for each of them is valid too from now on. One whose last replacement stopped half-way goes on with it. */
export function admitNext(secrets: Secrets, users: readonly string[], random: () => string): Secrets {
  const fresh = users.filter((user) => !hasNext(secrets, user) && !hasPrevious(secrets, user))
  return { ...secrets, ...Object.fromEntries(fresh.map((user) => [nextOf(user), random()])) }
}

/** From now on the new ones are used; the old ones stay valid. */
export function useNext(secrets: Secrets, users: readonly string[]): Secrets {
  const changed = users.filter((user) => hasNext(secrets, user))
  const moved = changed.flatMap((user) => [
    [user, secrets[nextOf(user)]],
    [previousOf(user), secrets[user]],
  ])
  return without({ ...secrets, ...Object.fromEntries(moved) }, changed.map(nextOf))
}

export const dropPrevious = (secrets: Secrets, users: readonly string[]): Secrets =>
  without(secrets, users.map(previousOf))

/** Without the new passwords of all but these users: nobody was told of them, and nobody will be. */
export const dropNextExcept = (secrets: Secrets, users: readonly string[]): Secrets => {
  const kept = new Set(users.map(nextOf))
  return without(
    secrets,
    Object.keys(secrets).filter((key) => isNext(key) && !kept.has(key)),
  )
}

const without = (secrets: Secrets, keys: readonly string[]): Secrets =>
  Object.fromEntries(Object.entries(secrets).filter(([key]) => !keys.includes(key)))
