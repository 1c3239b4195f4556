import { describe, expect, test } from 'vitest'
import type { AccessSeen, Rotation, Secrets } from '../../src/index.ts'
import { admitNext, ended, useNext, validPasswords } from '../../src/index.ts'
import type { Break, Deployment } from '../support/deployment.ts'
import { aDeployment, agentOf, dead, filesOf, now, syncing, wallNow } from '../support/deployment.ts'
import { asked, operationOf, saved, withOperation } from '../support/operations.ts'

const graceMs = 60_000
const users = ['app', 'replication']
const before: Secrets = { app: 'a1', replication: 'r1', probe: 'p1' }
const admitted = admitNext(before, users, () => 'new')
const used = useNext(admitted, users)

const withAccess =
  (access: Partial<AccessSeen> = {}, only?: string): Break =>
  (world) => {
    for (const { id } of world.document.nodes) {
      if (only !== undefined && only !== id) continue
      const seen: AccessSeen = {
        usersFile: filesOf(id).users,
        passwords: {},
        signInFile: null,
        signsInWith: null,
        signInGivenAt: now - 5000,
        linkRenewedAt: null,
        closing: null,
      }
      agentOf(world, id).access = structuredClone({ ...seen, ...access }) as never
    }
  }

const renewed = withAccess({ linkRenewedAt: now - 4000 })

const rotating = (secrets: Secrets, change: Partial<Rotation> = {}): Deployment => {
  const operation = asked({ kind: 'rotate', subject: 'shop', users, graceMs }) as Rotation
  return aDeployment({ document: { secrets } }).with(
    withAccess(),
    withOperation({ ...operation, state: 'running', steppedAt: wallNow - 100, ...change }),
  )
}

describe('another password', () => {
  test('is valid beside the old one until it is used, and the old one beside it until it goes', () => {
    expect(validPasswords(before, 'app')).toEqual(['a1'])
    expect(validPasswords(admitted, 'app')).toEqual(['a1', 'new'])
    expect(validPasswords(used, 'app')).toEqual(['new', 'a1'])
    expect(used['probe']).toBe('p1')
  })

  test('is not made where the last replacement stopped half-way', () => {
    expect(admitNext(used, users, () => 'newer')).toEqual(used)
    expect(admitNext(admitted, users, () => 'newer')).toEqual(admitted)
  })
})

describe('a rotation', () => {
  test('begins when all is ready', () => {
    expect(operationOf(rotating(admitted, { state: 'asked' }))).toMatchObject({ state: 'running', changedAt: null })
    const plan = rotating(admitted, { state: 'asked' }).with(syncing('node-4')).plan()
    expect(plan.operations ?? []).toEqual([])
    expect(plan.because).toBe('rotation of app, replication of shop waits: node-4 is syncing')
  })

  test('uses the new password once every engine accepts it, and not before', () => {
    const one = rotating(admitted)
    expect(one.plan()).toMatchObject({ secrets: used, operations: [{ changedAt: wallNow }] })
    const unread = one.with(withAccess({ passwords: null }, 'node-6')).plan()
    expect(unread.secrets).toBeUndefined()
    expect(unread.because).toContain('node-6 has not said yet what users it has')
  })

  test('lets one replica after the other prove that it can sign in', () => {
    const one = rotating(used, { changedAt: wallNow - 5000 })
    expect(one.plan().actions).toEqual([{ kind: 'renew-link', node: 'node-4' }])
    const next = one.with(withAccess({ linkRenewedAt: now - 4000 }, 'node-4'))
    expect(next.plan().actions).toEqual([{ kind: 'renew-link', node: 'node-5' }])
    expect(next.with(syncing('node-4')).plan().actions).toEqual([])
  })

  test('takes a link for no proof that was made before the engine got the password', () => {
    const one = rotating(used, { changedAt: wallNow - 5000 }).with(renewed)
    const again = one.with(withAccess({ linkRenewedAt: now - 5001 }, 'node-5'))
    expect(again.plan().actions).toEqual([{ kind: 'renew-link', node: 'node-5' }])
  })

  test('waits out the time of grace as one that was asked for, so that others may go before it', () => {
    const one = rotating(used, { changedAt: wallNow - 5000 }).with(renewed)
    expect(operationOf(one)).toMatchObject({ state: 'asked', notBefore: wallNow - 5000 + graceMs })
    expect(one.plan().secrets).toBeUndefined()
    expect(saved(one).plan()).toMatchObject({ actions: [], lookAgainMs: graceMs - 5000 })
  })

  test('lets the old password go when the time is over', () => {
    const plan = rotating(used, { changedAt: wallNow - graceMs })
      .with(renewed)
      .plan()
    expect(plan.secrets).toEqual({ app: 'new', replication: 'new', probe: 'p1' })
  })

  const after = { app: 'new', replication: 'new', probe: 'p1' }

  test('closes sessions that are older than the change, on all at once and a few a second', () => {
    const one = rotating(after, { changedAt: wallNow - 61_500 })
    const { actions } = one.plan()
    expect(actions).toHaveLength(6)
    expect(actions[0]).toMatchObject({ kind: 'close-sessions', users, olderThanSeconds: 62, rotation: 'op-1' })
    const left = withAccess({ closing: { rotation: 'op-1', at: now - 400, closed: 5, left: 3 } })
    expect(one.with(left).plan().actions).toEqual([])
  })

  test('is done when no older session is left anywhere', () => {
    const none = withAccess({ closing: { rotation: 'op-1', at: now - 400, closed: 5, left: 0 } })
    const one = rotating(after, { changedAt: wallNow - 61_500 }).with(none)
    expect(operationOf(one)).toMatchObject({
      state: 'done',
      because: 'rotation of app, replication of shop: only the new password is valid; 30 older sessions were closed',
    })
  })

  test('gives up when nothing has moved for two minutes, and says that nothing is lost', () => {
    const one = rotating(used, { changedAt: wallNow, steppedAt: wallNow - 120_001 }).with(
      withAccess({ passwords: null }, 'node-2'),
    )
    expect(operationOf(one)).toMatchObject({ state: 'failed' })
    expect(operationOf(one).because).toContain('What was valid stays valid; ask again to go on')
  })

  test('that ended before the change leaves no password behind that nobody knows', () => {
    const over = ended(asked({ kind: 'rotate', subject: 'shop', users }), 'cancelled', 'by ann', wallNow)
    const one = aDeployment({ document: { secrets: admitted } }).with(withAccess(), withOperation(over))
    expect(one.plan().secrets).toEqual(before)
    const half = aDeployment({ document: { secrets: used } }).with(withAccess(), withOperation(over))
    expect(half.plan().secrets).toBeUndefined()
  })

  test('does nothing while a primary is dead', () => {
    expect(rotating(admitted).with(dead('node-1')).plan()).toMatchObject({ actions: [{ kind: 'failover' }] })
  })
})
