import { randomBytes, scryptSync } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Grant, Role } from '@holdfast/core'
import type { FastifyInstance } from 'fastify'
import { pino } from 'pino'
import { buildApp } from '../../src/server/app.ts'
import { newToken } from '../../src/server/auth/tokens.ts'
import { Access } from '../../src/store/access.ts'
import { MemoryStore } from '../../src/store/memory-store.ts'
import { SqliteAudit } from '../../src/store/sqlite-audit.ts'
import { HandClock } from './hand-clock.ts'
import type { MemoryDemo } from './memory-demo.ts'
import { MemoryPlatform } from './memory-platform.ts'

export const password = 'kxq7-aaaa-bbbb-cccc-dddd-eeee-ffff'
export const bearerToken = 'token-of-the-command-line'
export const ownOrigin = 'http://localhost:7070'

/** Weak on purpose: the string carries its parameters, and these tests sign in often. */
function cheapHash(text: string): string {
  const salt = randomBytes(16)
  const hash = scryptSync(text, salt, 32, { N: 1024, r: 8, p: 1 })
  return `scrypt$N=1024,r=8,p=1$${salt.toString('base64')}$${hash.toString('base64')}`
}

export interface World {
  readonly app: FastifyInstance
  readonly platform: MemoryPlatform
  readonly access: Access
  readonly audit: SqliteAudit
  readonly clock: HandClock
  /** Everything that was logged, as lines. */
  readonly logged: string[]
  close(): Promise<void>
}

interface WorldOptions {
  readonly adminHash?: string
  /** Null: whatever it will listen on. */
  readonly port?: number | null
  /** A built panel; without it a page that says nothing. */
  readonly panelDir?: string
  readonly demo?: MemoryDemo
}

export function aWorld({ adminHash = cheapHash(password), port = 7070, panelDir, demo }: WorldOptions = {}): World {
  const madeDir = panelDir === undefined ? anEmptyPanel() : undefined
  // In memory where there is such a directory: it is made and synced for every test.
  const auditDir = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'holdfast-audit-'))
  const audit = new SqliteAudit({ home: { audit: join(auditDir, 'audit.db') } })
  const access = new Access(new MemoryStore().settings)
  void access.addUser({ name: 'admin', hash: adminHash, grants: [everywhere('admin')], createdAt: 1 })
  const logged: string[] = []
  const platform = new MemoryPlatform()
  const clock = new HandClock()
  const app = buildApp({
    platform,
    auth: { access, audit, bearerToken },
    clock,
    panelDir: panelDir ?? madeDir ?? '',
    demo: () => demo,
    log: pino({ level: 'debug' }, { write: (line: string) => logged.push(line) }),
    ...(port === null ? {} : { port }),
  })
  const close = async () => {
    await app.close()
    audit.close()
    rmSync(auditDir, { recursive: true, force: true })
    if (madeDir !== undefined) rmSync(madeDir, { recursive: true, force: true })
  }
  return { app, platform, access, audit, clock, logged, close }
}

function anEmptyPanel(): string {
  const dir = mkdtempSync(join(tmpdir(), 'holdfast-panel-'))
  mkdirSync(join(dir, 'assets'))
  writeFileSync(join(dir, 'index.html'), '<!doctype html><title>Holdfast</title>')
  writeFileSync(join(dir, 'assets', 'main-1a2b.js'), 'export {}')
  return dir
}

/** What a browser sends from a page of ours. */
export const fromOwnPage = {
  host: 'localhost:7070',
  origin: ownOrigin,
  'sec-fetch-site': 'same-origin',
  'x-requested-by': 'holdfast',
}
export const asCli = { host: '127.0.0.1:7070', authorization: `Bearer ${bearerToken}` }

export interface Attempt {
  readonly user?: string
  readonly password?: string
  readonly from?: string
}

export const signIn = ({ app }: World, attempt: Attempt = {}) =>
  app.inject({
    method: 'POST',
    url: '/api/v1/session',
    headers: fromOwnPage,
    remoteAddress: attempt.from ?? '127.0.0.1',
    payload: { user: attempt.user ?? 'admin', password: attempt.password ?? password },
  })

/** Headers of a signed-in browser. */
export async function asAdmin(world: World): Promise<typeof fromOwnPage & { cookie: string }> {
  const answer = await signIn(world)
  return { ...fromOwnPage, cookie: cookieOf(answer.headers['set-cookie']) }
}

/** Headers of a signed-in browser whose user has these roles. */
export async function asUser(world: World, name: string, grants: readonly Grant[]): Promise<Record<string, string>> {
  const known = world.access.user(name)
  const user = { name, hash: cheapHash(password), grants, createdAt: 1 }
  if (known === undefined) await world.access.addUser(user)
  else await world.access.changeUser(known, user)
  const answer = await signIn(world, { user: name })
  return { ...fromOwnPage, cookie: cookieOf(answer.headers['set-cookie']) }
}

/** Headers of a program with a token that is good for an hour. */
export function asProgram(
  { access, clock }: World,
  grants: readonly Grant[],
  scope: 'topology' | null = null,
): { host: string; authorization: string; id: string } {
  const { text, id, hash } = newToken()
  const now = Math.round(clock.wall())
  const times = { createdAt: now, expiresAt: now + 3_600_000 }
  void access.addToken({ id, hash, name: 'ci', grants, scope, createdBy: 'admin', ...times })
  return { host: '127.0.0.1:7070', authorization: `Bearer ${text}`, id }
}

export const everywhere = (role: Role): Grant => ({ role, deployment: null })

export const cookieOf = (header: string | string[] | undefined): string => String(header).split(';', 1)[0] ?? ''
