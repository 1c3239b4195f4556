import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { AgentMemory } from '../../src/host/agent-memory.ts'

let directory: string
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'holdfast-memory-'))
})
afterAll(() => rmSync(directory, { recursive: true, force: true }))

const process = { pid: 7, startTime: 77 }

test('an agent that has just come keeps what it has seen, until somebody newer has written', () => {
  const first = new AgentMemory(directory)
  first.obey('shop', 1)
  first.save('shop', true)
  const second = new AgentMemory(directory)
  const seen = second.node('shop', 'node-1')
  seen.process = process
  second.save('shop', false)
  expect(second.node('shop', 'node-1')).toBe(seen)
  first.node('shop', 'node-1').fencedAt = 5
  first.save('shop', true)
  second.save('shop', false)
  expect(second.node('shop', 'node-1')).toMatchObject({ process: null, fencedAt: 5 })
})

test('one whose epoch is over writes nothing', () => {
  const [older, newer] = [new AgentMemory(directory), new AgentMemory(directory)]
  older.obey('shop', 2)
  newer.obey('shop', 3)
  newer.node('shop', 'node-1').fencedAt = 9
  newer.save('shop', true)
  older.node('shop', 'node-1').process = process
  older.save('shop', true)
  expect(new AgentMemory(directory).node('shop', 'node-1')).toMatchObject({ process: null, fencedAt: 9 })
})
