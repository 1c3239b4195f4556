import { describe, expect, test } from 'vitest'
import { planTurn } from '../../src/index.ts'
import type { Break } from '../support/deployment.ts'
import { aDeployment, agentOf, askedAgo, filesOf, silentFor, withoutAgent } from '../support/deployment.ts'

const withConfig =
  (id: string, config: Record<string, string> | null): Break =>
  (world) => {
    agentOf(world, id).config = config
  }

describe('directives that Holdfast owns are put back', () => {
  test('each that differs, on the node where it differs, and it is said', () => {
    const drift = 'node-4: maxmemory-samples is "3", not "10"'
    expect(
      aDeployment()
        .with(withConfig('node-4', { 'maxmemory-samples': '3', appendonly: 'yes' }))
        .plan(),
    ).toEqual({
      actions: [{ kind: 'configure', node: 'node-4', set: { 'maxmemory-samples': '10' }, files: filesOf('node-4') }],
      because: `not as specified: ${drift}`,
      notes: [{ kind: 'drift', subject: 'node-4', because: drift }],
      lookAgainMs: 0,
    })
  })

  test('several in one sentence', () => {
    const plan = aDeployment()
      .with(withConfig('node-4', { 'maxmemory-samples': '3', appendonly: 'no' }))
      .plan()
    expect(plan.because).toBe(
      'not as specified: node-4: maxmemory-samples is "3", not "10", appendonly is "no", not "yes"',
    )
  })

  test('a directive that this engine does not have has not drifted', () => {
    expect(
      aDeployment()
        .with(withConfig('node-4', { appendonly: 'yes' }))
        .plan().actions,
    ).toEqual([])
  })

  test('what was not read yet has not drifted', () => {
    expect(aDeployment().with(withConfig('node-4', null)).plan().actions).toEqual([])
    expect(aDeployment().with(withoutAgent('node-4')).plan().actions).toEqual([])
  })

  test('a node that does not answer is not configured', () => {
    const plan = aDeployment()
      .with(withConfig('node-4', { 'maxmemory-samples': '3' }), silentFor('node-4', 300))
      .plan()
    expect(plan.actions).toEqual([])
  })

  test('after everything that makes the deployment whole', () => {
    const plan = aDeployment()
      .with(withConfig('node-4', { 'maxmemory-samples': '3' }), (world) => {
        for (const entry of world.observed.nodes) {
          if (entry.engine.kind === 'answered') entry.engine.facts.view.entries.splice(4, 1)
        }
      })
      .plan()
    expect(new Set(plan.actions.map(({ kind }) => kind))).toEqual(new Set(['meet']))
  })
})

describe('a timer that was slowed for an election', () => {
  const slowed = (agoMs: number) => {
    const world = aDeployment().with(
      withConfig('node-4', { 'maxmemory-samples': '10', appendonly: 'yes', hz: '10' }),
      askedAgo('node-4', agoMs),
    )
    return planTurn({ ...world.input(), owned: { ...world.input().owned, hz: '50' } }).actions
  }

  test('is quick again, though whoever slowed it was killed before he put that back', () => {
    expect(slowed(6000)).toMatchObject([{ kind: 'configure', node: 'node-4', set: { hz: '50' } }])
  })

  test('is no drift while the election is under way', () => {
    expect(slowed(500)).toEqual([])
  })
})

describe('a new certificate', () => {
  const certificate = (file: string) => ({ 'tls-cert-file': file, 'tls-key-file': file })
  const textOf = (directives: Readonly<Record<string, string>>): string =>
    Object.entries(directives)
      .map((words) => words.join(' '))
      .join('\n')

  test('goes to all whose file names another, and is no drift', () => {
    const world = aDeployment().with((draft) => {
      for (const { id } of draft.observed.nodes) {
        const now = certificate(id === 'node-1' ? 'new.pem' : 'old.pem')
        Object.assign(agentOf(draft, id), { written: now, given: now })
      }
    })
    const rendered = { config: textOf(certificate('new.pem')), users: '' }
    const files = new Map(world.document.nodes.map(({ id }) => [id, rendered]))
    const plan = planTurn({ ...world.input(), files })
    expect(plan.actions).toHaveLength(5)
    expect(plan.actions[0]).toMatchObject({ kind: 'configure', node: 'node-2', set: certificate('new.pem') })
    expect(plan.because).toMatch(/^node-2, .*node-6: a new certificate, for connections from now on$/)
    expect(plan.notes).toEqual([])
  })
})
