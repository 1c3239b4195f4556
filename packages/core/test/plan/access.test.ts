import { describe, expect, test } from 'vitest'
import type { AccessSeen, Document } from '../../src/index.ts'
import { planAccess } from '../../src/plan/access.ts'
import type { Break, Deployment } from '../support/deployment.ts'
import { aDeployment, agentOf, filesOf, silentFor, starting } from '../support/deployment.ts'

const withUsers =
  (id: string, usersMatch: boolean | null): Break =>
  (world) => {
    agentOf(world, id).usersMatch = usersMatch
  }

/** What its agent says of who may sign in, where all is as rendered, and what of it is not. */
const accessOf = (id: string, access: Partial<AccessSeen> = {}): AccessSeen => ({
  usersFile: filesOf(id).users,
  passwords: {},
  signInFile: 'hash',
  signsInWith: 'hash',
  signInGivenAt: null,
  linkRenewedAt: null,
  closing: null,
  ...access,
})

describe('users that were changed by hand are put back', () => {
  test('where they are not those of the file', () => {
    const because = 'node-4: its users are not those of the deployment'
    expect(aDeployment().with(withUsers('node-4', false)).plan()).toMatchObject({
      actions: [{ kind: 'load-users', node: 'node-4', files: filesOf('node-4') }],
      because: `not as specified: ${because}`,
      notes: [{ kind: 'drift', subject: 'node-4', because }],
    })
  })

  test('what was not read yet matches', () => {
    expect(aDeployment().with(withUsers('node-4', null)).plan().actions).toEqual([])
  })

  test('also where our own reading user was taken away, so that the engine turns us away', () => {
    const plan = aDeployment().with(withUsers('node-4', false), starting('node-4')).plan()
    expect(plan.actions).toEqual([{ kind: 'load-users', node: 'node-4', files: filesOf('node-4') }])
  })
})

describe('who may sign in', () => {
  const having = (access: Partial<AccessSeen>): Deployment =>
    aDeployment().with((world) => {
      agentOf(world, 'node-4').access = structuredClone(accessOf('node-4', access)) as never
    })
  const loaded = [{ kind: 'load-users', node: 'node-4', files: filesOf('node-4') }]

  test('is told to an engine whose file is not the rendered one, and that is no drift', () => {
    const plan = having({ usersFile: 'others' }).plan()
    expect(plan).toMatchObject({ actions: loaded, notes: [], because: 'telling node-4 who may sign in now' })
  })

  test('is told to an engine that accepts another password than its file has', () => {
    expect(having({ passwords: { app: ['old'] } }).plan().actions).toEqual(loaded)
  })

  test('is not told again while nobody has read what the engine accepts', () => {
    expect(having({ passwords: null }).plan().actions).toEqual([])
  })

  test('is not told to one that runs another engine than the files are for, which may not know each word', () => {
    const input = having({ usersFile: 'others', version: '7.0.15' }).input()
    const files = new Map([...input.files].map(([id, of]) => [id, { ...of, engineVersion: '8.0.6' }]))
    expect(planAccess({ ...input, files }).actions).toEqual([])
    const upgraded = having({ usersFile: 'others', version: '8.0.6' }).input()
    expect(planAccess({ ...upgraded, files }).actions).toHaveLength(1)
  })

  test('is not told to one that owes an answer', () => {
    expect(having({ usersFile: 'others' }).with(silentFor('node-4', 100)).plan().actions).toEqual([])
  })
})

describe('how an engine signs in to its primary', () => {
  const document: Partial<Document> = { secrets: { replication: 'new' } }
  const plan = (access: Partial<AccessSeen>) => {
    const deployment = aDeployment({ document }).with((world) => {
      agentOf(world, 'node-4').access = structuredClone(accessOf('node-4', access)) as never
    })
    const input = deployment.input()
    const files = new Map([...input.files].map(([id, one]) => [id, { ...one, signsInWith: 'hash' }]))
    return planAccess({ ...input, files })
  }
  const told = [{ kind: 'sign-in', node: 'node-4', name: 'shop', password: 'new' }]

  test.each<[string, Partial<AccessSeen>]>([
    ['the engine', { signsInWith: 'old' }],
    ['its file', { signInFile: 'old' }],
  ])('is told where %s has another password', (_, access) => {
    expect(plan(access)).toMatchObject({ actions: told })
  })

  test('is left alone where both have it, or nobody has asked yet', () => {
    expect(plan({}).actions).toEqual([])
    expect(plan({ signsInWith: null }).actions).toEqual([])
  })

  test('waits until everybody knows who may sign in', () => {
    expect(plan({ signsInWith: 'old', usersFile: 'others' }).actions).toMatchObject([{ kind: 'load-users' }])
  })
})
