/**
 * The session's cookie. There is no TLS yet, so neither `Secure` nor the `__Host-` prefix, which demands it: with
 * them a browser would drop the cookie on plain HTTP.
 */
const cookieName = 'holdfast_session'
const attributes = 'Path=/; HttpOnly; SameSite=Strict'

export const sessionCookie = (id: string): string => `${cookieName}=${id}; ${attributes}`

export const expiredCookie = `${cookieName}=; ${attributes}; Max-Age=0`

export function sessionIdOf(header: string | undefined): string | undefined {
  for (const part of header?.split(';') ?? []) {
    const [, name, value] = /^\s*([^=]+)=([A-Za-z0-9_-]{43})\s*$/.exec(part) ?? []
    if (name === cookieName) return value
  }
  return undefined
}
