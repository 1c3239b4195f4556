import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { questionMs, Sqlite } from '../../src/demo/database.ts'
import { openQuestions } from '../../src/demo/questions.ts'

/** The database of a machine without PostgreSQL. */
const folder = mkdtempSync(join(tmpdir(), 'holdfast-demo-test-'))
const database = new Sqlite(folder)
const asked: string[] = []
const questions = openQuestions(database.place, 2, (what, id) => asked.push(`${what} ${id}`))

afterAll(async () => {
  await questions.close()
  await database.close()
  rmSync(folder, { recursive: true, force: true })
})

test('knows what is sold, and counts what it was asked', async () => {
  expect(await questions.product('p1')).toEqual({ id: 'p1', name: expect.any(String), priceCents: expect.any(Number) })
  expect(await questions.stock('p1')).toBeGreaterThan(0)
  expect(await questions.product('nothing of the kind')).toBeUndefined()
  expect(await questions.stock('nothing of the kind')).toBe(0)
  expect(asked.slice(0, 2)).toEqual(['product p1', 'stock p1'])
})

test('answers so many at once, and each of them slowly', async () => {
  const from = performance.now()
  const answers = await Promise.all(['p1', 'p2', 'p3', 'p4', 'p5'].map((id) => questions.product(id)))
  expect(answers.map((product) => product?.id)).toEqual(['p1', 'p2', 'p3', 'p4', 'p5'])
  expect(performance.now() - from).toBeGreaterThan(3 * questionMs - 5)
})

test('refuses while it is stopped, and is as it was when it runs again', async () => {
  await database.stop()
  expect(database.running).toBe(false)
  await expect(questions.product('p1')).rejects.toThrow('the database is stopped')
  await database.start()
  expect(database.running).toBe(true)
  expect((await questions.product('p1'))?.id).toBe('p1')
})
