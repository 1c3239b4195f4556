import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { AccessSeen, Action, ClosingSeen } from '@holdfast/core'
import { engineVersion, hashesAmong, nodePaths, parseInfo, readUsers } from '@holdfast/core'
import type { EngineLink } from '../engine/link.ts'
import type { NodeMemory } from './agent-memory.ts'
import { LastRead } from './last-read.ts'

/** What is known of who may sign in to a process of this host, and of how it signs in to others. */
export class Access {
  readonly #usersFile: LastRead<string | null>
  #passwords: AccessSeen['passwords'] = null
  #signsInWith: string | null = null
  #version: string | null = null

  constructor(nodeDir: string) {
    this.#usersFile = new LastRead(nodePaths(nodeDir).users, (path) => readFileSync(path, 'utf8'), null)
  }

  /** What `ACL LIST` answered, the password by which the engine signs in to its primary, and what `INFO server` answered. */
  note(users: unknown, signsInWith: string | null, server: unknown): void {
    this.#version = engineVersion(parseInfo(String(server)))
    const lines = Array.isArray(users) ? users.map(String).join('\n') : ''
    this.#passwords = Object.fromEntries([...readUsers(lines)].map(([name, rules]) => [name, hashesAmong(rules)]))
    this.#signsInWith = signsInWith === null || signsInWith === '' ? null : sha256(signsInWith)
  }

  /** It is another process, and may be of another version. */
  beginAnew(): void {
    this.#version = null
    this.forget()
  }

  /** It was told something: what was read before is old. */
  forget(): void {
    this.#passwords = null
    this.#signsInWith = null
  }

  seen({ signInGivenAt, linkRenewedAt, closing }: NodeMemory, signInFile: string | null): AccessSeen {
    return {
      version: this.#version,
      usersFile: this.#usersFile.value,
      passwords: this.#passwords,
      signInFile: signInFile === null ? null : sha256(signInFile),
      signsInWith: this.#signsInWith,
      signInGivenAt: signInGivenAt ?? null,
      linkRenewedAt: linkRenewedAt ?? null,
      closing: closing ?? null,
    }
  }
}

/** The last word of a text's line that begins with these. Null: there is none. */
export function wordAfter(text: string, directive: string): string | null {
  const line = text.split('\n').findLast((one) => one.startsWith(`${directive} `))
  return line === undefined
    ? null
    : line
        .slice(directive.length + 1)
        .trim()
        .replaceAll('"', '')
}

interface Session {
  readonly id: string
  readonly user: string
  readonly ageSeconds: number
}

/** Ends the oldest sessions of these users that are older than so many seconds; answers how many so far, and how many are left. */
export async function closeSessions(
  link: EngineLink,
  { users, olderThanSeconds, countMax, rotation }: Extract<Action, { kind: 'close-sessions' }>,
  last: ClosingSeen | null | undefined,
  now: () => number,
): Promise<ClosingSeen> {
  const own = String(await link.command(['CLIENT', 'ID']))
  const old = parseSessions(String(await link.command(['CLIENT', 'LIST'])))
    .filter(({ id, user, ageSeconds }) => id !== own && users.includes(user) && ageSeconds > olderThanSeconds)
    .sort((a, b) => b.ageSeconds - a.ageSeconds)
  const chosen = old.slice(0, countMax)
  for (const { id } of chosen) await link.command(['CLIENT', 'KILL', 'ID', id])
  const before = last?.rotation === rotation ? last.closed : 0
  return { rotation, at: now(), closed: before + chosen.length, left: old.length - chosen.length }
}

function parseSessions(text: string): Session[] {
  return text.split('\n').flatMap((line) => {
    const fields = new Map(line.split(' ').map((word) => word.split('=', 2) as [string, string]))
    const id = fields.get('id')
    return id === undefined ? [] : [{ id, user: fields.get('user') ?? '', ageSeconds: Number(fields.get('age')) }]
  })
}

/** Gives the running process the users of a file's text, one by one: loading the file as a whole signs everybody out on Redis 7. */
export async function loadUsers(users: string, command: (args: readonly string[]) => Promise<unknown>): Promise<void> {
  const wanted = readUsers(users)
  for (const [name, rules] of wanted) await command(['ACL', 'SETUSER', name, 'reset', ...rules])
  const there = await command(['ACL', 'USERS'])
  const gone = (Array.isArray(there) ? there.map(String) : []).filter((name) => !wanted.has(name))
  if (gone.length > 0) await command(['ACL', 'DELUSER', ...gone])
}

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex')
