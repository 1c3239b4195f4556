import { expect, test } from 'vitest'
import type { EtcdMemberFacts, EtcdMemberSeen } from '../src/etcd-member.ts'
import { planEtcdMember } from '../src/etcd-member.ts'

const mine = 'https://10.0.0.1:2380'
const aMember = (over: Partial<EtcdMemberSeen> = {}): EtcdMemberSeen => ({
  id: '7',
  peerUrls: [mine],
  clientUrls: ['https://10.0.0.1:2379'],
  ...over,
})
const other = aMember({ id: '8', peerUrls: ['https://10.0.0.2:2380'] })
const plan = (over: Partial<EtcdMemberFacts>) =>
  planEtcdMember({ isRunning: false, hasData: false, isBirth: false, peerUrl: mine, known: null, ...over })

test('one that runs is left alone, and one that has its data is started', () => {
  expect(plan({ isRunning: true }).kind).toBe('nothing')
  expect(plan({ hasData: true, known: [other] })).toMatchObject({ kind: 'start', into: 'existing' })
})

test('an empty one is never started under an identity that was up before', () => {
  for (const isBirth of [false, true]) {
    expect(plan({ isBirth, known: [aMember(), other] })).toMatchObject({ kind: 'remove', id: '7' })
  }
})

test('an empty one waits while no majority can say whether it was there before', () => {
  expect(plan({})).toEqual({
    kind: 'wait',
    because:
      'this member of etcd has no data, and no majority of the others answers: it waits for them, since an empty one must not vote',
  })
})

test('it comes back step by step, each from what is seen: removed, added, started', () => {
  let known: EtcdMemberSeen[] = [aMember(), other]
  const steps: string[] = []
  for (let hasStarted = false; !hasStarted; ) {
    const next = plan({ known })
    steps.push(next.kind)
    if (next.kind === 'remove') known = known.filter(({ id }) => id !== next.id)
    if (next.kind === 'add') known = [...known, aMember({ id: '9', clientUrls: [] })]
    hasStarted = next.kind === 'start'
  }
  expect(steps).toEqual(['remove', 'add', 'start'])
})

test('a new etcd is begun only where somebody says so', () => {
  expect(plan({ isBirth: true })).toMatchObject({ kind: 'start', into: 'new' })
})
