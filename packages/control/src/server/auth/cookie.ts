/**
 * The session's cookie. Over TLS it has the name that makes a browser keep it to this very host, and send it over TLS
 * alone; without TLS a browser would drop such a one, so that on loopback has another, which counts nowhere else.
 */
const attributes = 'Path=/; HttpOnly; SameSite=Strict'

const nameOf = (secure: boolean): string => (secure ? '__Host-holdfast_session' : 'holdfast_session')

const attributesOf = (secure: boolean): string => (secure ? `${attributes}; Secure` : attributes)

/** `secure`: the connection is a TLS one, here and below. */
export const sessionCookie = (id: string, secure: boolean): string => `${nameOf(secure)}=${id}; ${attributesOf(secure)}`

export const expiredCookie = (secure: boolean): string => `${nameOf(secure)}=; ${attributesOf(secure)}; Max-Age=0`

export function sessionIdOf(header: string | undefined, secure: boolean): string | undefined {
  const wanted = nameOf(secure)
  for (const part of header?.split(';') ?? []) {
    const [, name, value] = /^\s*([^=]+)=([A-Za-z0-9_-]{43})\s*$/.exec(part) ?? []
    if (name === wanted) return value
  }
  return undefined
}
