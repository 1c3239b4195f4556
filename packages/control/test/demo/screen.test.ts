import { demoActions } from '@holdfast/core'
import { describe, expect, test } from 'vitest'
import type { ScreenFacts } from '../../src/demo/screen.ts'
import { renderPlain, renderScreen } from '../../src/demo/screen.ts'
import { aStatus } from '../server/demo-status.ts'
import { aDemo, aSample } from './a-demo.ts'

const size = { columns: 80, rows: 24 }
const facts: ScreenFacts = {
  status: aStatus(),
  state: aDemo(),
  notes: [],
  panel: 'http://127.0.0.1:7500',
  signIn: 'admin / kxq7-aaaa-bbbb-cccc-dddd-eeee-ffff',
  shops: ['http://127.0.0.1:40001', 'http://127.0.0.1:40002'],
}
const sentence =
  'node-2 (primary of shard-2) is dead, node-5 is in sync: promoting it, and this sentence goes on and on'

function screen(parts: Partial<ScreenFacts> = {}, of = size): string[] {
  return renderScreen({ ...facts, ...parts }, of).map(({ text }) => text)
}

/** The words of the row that begins like this. */
function row(lines: readonly string[], label: string): string[] {
  const found = lines.find((line) => line.trimStart().startsWith(label)) ?? `no row ${label}`
  return found.trimStart().slice(label.length).trim().split(/ {2,}/)
}

describe('the screen', () => {
  test('says how the deployment is, and why, in the words of the controller', () => {
    const [first, second] = screen()
    expect(first).toMatch(/^Holdfast keeps up shop: ready {2,}\S+ [\d.]+$/)
    expect(second).toBe(aStatus().because)
    expect(screen({ status: undefined })[1]).toBe('nobody has looked at it yet')
  })

  test('fits into 80 by 24, with its newest line, however much has happened', () => {
    const notes = Array.from({ length: 50 }, (_, index) => ({
      at: index * 1000,
      text: `${index}: ${sentence}`,
      isMinor: false,
    }))
    const state = aDemo({ compare: 'on', samples: [aSample(), aSample({ lane: 'bare', errorsTotal: 123_456 })] })
    const lines = screen({ notes, state })
    expect(lines.length).toBeLessThanOrEqual(24)
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(80)
    expect(lines.join('\n')).toContain('49: node-2')
    expect(lines.at(-1)).toContain('goes on and on')
  })

  test('leaves out the steps of healing', () => {
    const notes = [
      { at: 0, text: 'SIGKILL to node-2', isMinor: false },
      { at: 1, text: 'node-2 sees node-5 differently', isMinor: true },
    ]
    expect(screen({ notes }).at(-1)).toContain('SIGKILL to node-2')
  })

  test('never writes beyond a smaller terminal', () => {
    const lines = screen({ notes: [{ at: 0, text: sentence, isMinor: false }] }, { columns: 40, rows: 10 })
    expect(lines.length).toBeLessThanOrEqual(10)
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(40)
  })

  test('shows the last second of each lane, the other one only while it is compared', () => {
    const bare = aSample({ lane: 'bare', requests: 131, errorsTotal: 312, p99Ms: 2001, missing: 7, readBack: 900 })
    const both = screen({ state: aDemo({ compare: 'on', samples: [bare, aSample()] }) })
    expect(row(both, 'requests a second')).toEqual(['200', '131'])
    expect(row(both, 'errors since the start')).toEqual(['0', '312'])
    expect(row(both, 'slowest but one in a hundred')).toEqual(['46 ms', '2.0 s'])
    expect(row(both, 'read back · missing')).toEqual(['1190 · 0', '900 · 7'])
    const one = screen({ state: aDemo({ samples: [bare, aSample()] }) })
    expect(row(one, 'errors since the start')).toEqual(['0'])
  })

  test('has every key, the panel, and how to sign in', () => {
    const text = screen().join('\n')
    for (const { key } of Object.values(demoActions)) expect(text).toContain(`[${key}] `)
    expect(text).toContain('[q] quit')
    expect(text).toContain('http://127.0.0.1:7500/demo')
    expect(text).toContain('admin / kxq7-aaaa-bbbb-cccc-dddd-eeee-ffff')
  })

  test('says in words what it also says in colour', () => {
    const stopped = aDemo({ database: { kind: 'SQLite', delayMs: 40, limit: 8, running: false } })
    expect(screen({ state: stopped }).join('\n')).toContain('SQLite a second, stopped')
    const [title] = renderScreen({ ...facts, status: aStatus({ ready: 'no' }) }, size)
    expect(title).toMatchObject({ text: expect.stringContaining('shop: not ready'), tone: 'bad' })
  })

  test('has no control characters in it', () => {
    expect(screen({ notes: [{ at: 0, text: sentence, isMinor: false }] }).join('')).not.toMatch(/\p{Cc}/u)
  })
})

describe('without a terminal', () => {
  test('a line has the figures of the last second, and those of the other lane while it is compared', () => {
    const samples = [aSample({ requests: 1 }), aSample(), aSample({ lane: 'bare', errorsTotal: 312 })]
    const alone =
      'Holdfast: 200 requests/s, errors 0, p99 46 ms, database 12/s, loads saved 160/s, old pages 0, writes 1204, read back 1190, missing 0'
    expect(renderPlain(aDemo({ samples }))).toBe(alone)
    expect(renderPlain(aDemo({ samples, compare: 'on' }))).toContain(
      `${alone} | engine alone: 200 requests/s, errors 312`,
    )
  })

  test('there is no line before anything was counted', () => {
    expect(renderPlain(aDemo({ samples: [] }))).toBe('')
  })
})
