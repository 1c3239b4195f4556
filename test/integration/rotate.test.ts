import { createHash, randomUUID } from 'node:crypto'
import type { Operation, OperationWish, SpecText, Status } from '@holdfast/core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { EngineLink } from '../../packages/control/src/engine/link.ts'
import { secretsOf, TestDeployment } from '../support/deployment.ts'
import { eventually } from '../support/eventually.ts'

let it: TestDeployment

beforeAll(async () => {
  it = await TestDeployment.up()
})

afterAll(async () => {
  await it?.close()
})

function rotate(
  { controller, name }: TestDeployment,
  wish: Pick<OperationWish, 'users' | 'graceMs' | 'closes'>,
): Promise<Operation> {
  return controller.askOperation(name, { kind: 'rotate', id: randomUUID(), subject: name, ...wish }, 'ann')
}

const operationIn = (status: Status, id: string): Operation | undefined =>
  status.operations.find((one) => one.id === id)

/** One session with one primary, as the application, that writes and counts what was refused. */
class Session {
  readonly #link: EngineLink
  readonly failures: string[] = []
  #stopped = false
  #done: Promise<void> = Promise.resolve()
  written = 0

  constructor(node: { readonly host: string; readonly port: number }, password: string, username = 'app') {
    this.#link = new EngineLink({ address: node.host, port: node.port, username, password, name: 'shop' })
  }

  command(...args: string[]): Promise<unknown> {
    return this.#link.command(args)
  }

  begin(key: string): void {
    this.#done = (async () => {
      while (!this.#stopped) {
        await this.#link.command(['SET', key, 'value']).then(
          () => (this.written += 1),
          (error: unknown) => this.failures.push(String(error)),
        )
        await new Promise((resolve) => setTimeout(resolve, 5))
      }
    })()
  }

  async end(): Promise<void> {
    this.#stopped = true
    await this.#done
    this.#link.end()
  }
}

test('all passwords become others, and a client that switches while both are valid has no failed command', async () => {
  const before = secretsOf(it.place.home, it.name)
  const primary = it.primaryOf('shard-1')
  const pids = it.status().nodes.map(({ pid }) => pid)
  const old = new Session(primary, it.password)
  const idle = new Session(primary, it.password)
  await idle.command('PING')
  const openedAt = Date.now()
  old.begin('{06S}old')
  await eventually(() => old.written > 5)
  await eventually(() => Date.now() - openedAt > 2200)
  const asked = rotate(it, { users: ['app', 'replication', 'probe', 'admin'], graceMs: 2500 })
  await eventually(() => it.password !== before['app'])
  const fresh = new Session(primary, it.password)
  fresh.begin('{06S}fresh')
  await eventually(() => fresh.written > 5)
  expect(old.failures).toEqual([])
  await old.end()
  const operation = await it.over(asked)
  await eventually(() => fresh.written > 50)
  await fresh.end()
  expect(fresh.failures).toEqual([])
  expect(operation.because).toMatch(/only the new password is valid; \d+ older sessions? (was|were) closed$/)
  await expect(idle.command('PING')).rejects.toThrow('WRONGPASS')
  await idle.end()
  const after = secretsOf(it.place.home, it.name)
  expect(Object.keys(after).sort()).toEqual(Object.keys(before).sort())
  for (const user of ['app', 'replication', 'probe', 'admin']) expect(after[user]).not.toBe(before[user])
  expect(it.status()).toMatchObject({ ready: 'yes' })
  expect(it.status().nodes.map(({ pid }) => pid)).toEqual(pids)
}, 60_000)

test('a user of the spec may what it says, and changing that fails nobody', async () => {
  const primary = it.primaryOf('shard-1')
  const withUsers = (...users: SpecText[]): SpecText => ({ ...it.spec, security: { users } })
  const settle = async (spec: SpecText): Promise<void> => {
    const { revision } = await it.controller.apply(spec, null, 'test')
    await eventually(() => it.status().settledRevision === revision && it.status().ready === 'yes')
  }
  await settle(withUsers({ name: 'reports', keys: ['{06S}*'], commands: ['+@read'] }))
  const reports = new Session(primary, it.controller.credentials(it.name, 'reports')?.password ?? '', 'reports')
  const app = new Session(primary, it.password)
  app.begin('{06S}mine')
  await eventually(() => app.written > 5)
  expect(await reports.command('GET', '{06S}mine')).toBe('value')
  await expect(reports.command('SET', '{06S}mine', 'other')).rejects.toThrow('NOPERM')
  await expect(reports.command('GET', 'elsewhere')).rejects.toThrow('NOPERM')
  await expect(reports.command('CONFIG', 'GET', 'masterauth')).rejects.toThrow('NOPERM')
  const id = await reports.command('CLIENT', 'ID')
  const hash = createHash('sha256').update('long and random').digest('hex')
  const changed = { name: 'reports', keys: ['{06S}*'], commands: ['+@read', '+@write', '-flushall'] }
  await settle(withUsers(changed, { name: 'batch', passwordHash: hash, keys: ['*'] }))
  expect(await reports.command('SET', '{06S}mine', 'other')).toBe('OK')
  expect(await reports.command('CLIENT', 'ID')).toBe(id)
  const batch = new Session(primary, 'long and random', 'batch')
  expect(await batch.command('GET', '{06S}mine')).toMatch(/value|other/)
  expect(() => it.controller.credentials(it.name, 'batch')).toThrow('knows no password of a user batch')
  await settle(it.spec)
  await expect(reports.command('PING')).rejects.toThrow()
  await app.end()
  expect(app.failures).toEqual([])
  await reports.end()
  await batch.end()
  expect(it.told('drift')).toEqual([])
})

describe('with Sentinels', () => {
  let watched: TestDeployment

  beforeAll(async () => {
    watched = await TestDeployment.up({ topology: 'sentinel', replicasPerShard: 1, sentinel: { downAfter: '2s' } })
  })

  afterAll(async () => {
    await watched?.close()
  })

  test('whatever is killed at whichever step comes back right, and so does a controller', async () => {
    const before = secretsOf(watched.place.home, watched.name)
    const { users } = watched.status()
    const victims = ['sentinel-1', 'node-2', 'node-1', 'sentinel-2', 'node-2', 'sentinel-3', 'node-1', 'node-2']
    const asked = await rotate(watched, { users, graceMs: 1500 })
    const told = new Set<string>()
    const done = await eventually(
      async () => {
        const status = watched.status()
        const found = operationIn(status, asked.id)
        if (found?.endedAt != null) return found
        const step = found?.because.replace(/^.* links/, 'links') ?? ''
        if (!told.has(step)) {
          told.add(step)
          const victim = victims[told.size % victims.length]
          if (victim !== undefined && watched.place.pidOf(watched.name, victim) !== undefined) watched.kill(victim)
          if (told.size === 4) {
            await watched.stopController()
            await watched.startController()
          }
        }
        throw new Error(`${found?.state}: ${status.because}`)
      },
      { withinMs: 90_000, what: 'the rotation to end' },
    )
    expect(done.state).toBe('done')
    const after = secretsOf(watched.place.home, watched.name)
    expect(Object.keys(after).sort()).toEqual(Object.keys(before).sort())
    for (const user of users) expect(after[user]).not.toBe(before[user])
    // What a process was not told, or its file does not say, shows when it is started again.
    watched.kill('node-1', 'node-2', 'sentinel-1', 'sentinel-2', 'sentinel-3')
    await eventually(() => watched.status().ready !== 'yes')
    await watched.ready()
    expect(watched.status().copiesInSync).toBe(2)
  }, 120_000)
})
