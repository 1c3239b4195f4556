import { randomUUID } from 'node:crypto'
import type { Operation, OperationWish, Status } from '@holdfast/core'
import { afterAll, beforeAll, expect, test } from 'vitest'
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

function rotate(wish: Pick<OperationWish, 'users' | 'graceMs' | 'closes'>): Operation {
  return it.controller.askOperation(it.name, { kind: 'rotate', id: randomUUID(), subject: it.name, ...wish }, 'ann')
}

const operationIn = (status: Status, id: string): Operation | undefined => status.operations.find((one) => one.id === id)

async function over({ id }: Operation): Promise<Operation> {
  return eventually(
    () => {
      const found = operationIn(it.status(), id)
      if (found?.endedAt == null) throw new Error(`${found?.state}: ${it.status().because}`)
      return found
    },
    { withinMs: 60_000, what: 'the rotation to end' },
  )
}

/** One session with one primary, as the application, that writes and counts what was refused. */
class Session {
  readonly #link: EngineLink
  readonly failures: string[] = []
  #stopped = false
  #done: Promise<void> = Promise.resolve()
  written = 0

  constructor(node: { readonly host: string; readonly port: number }, password: string) {
    this.#link = new EngineLink({ address: node.host, port: node.port, username: 'app', password, name: 'shop' })
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
  old.begin('{06S}old')
  await eventually(() => old.written > 5)
  await new Promise((resolve) => setTimeout(resolve, 1100))
  const asked = rotate({ users: ['app', 'replication', 'probe', 'admin'], graceMs: 4000 })
  await eventually(() => it.password !== before['app'])
  const fresh = new Session(primary, it.password)
  fresh.begin('{06S}fresh')
  await eventually(() => fresh.written > 5)
  expect(old.failures).toEqual([])
  await old.end()
  const operation = await over(asked)
  await eventually(() => fresh.written > 50)
  await fresh.end()
  console.log(operation.because, it.told('turn').slice(-40))
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
