import { appendFileSync, closeSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { boundLog } from '../src/bounded-log.ts'

let folder: string
let path: string

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-log-'))
  path = join(folder, 'etcd.log')
})

afterEach(() => rmSync(folder, { recursive: true }))

test('a log that is long begins anew for whoever has it open, and what was last said is kept', () => {
  const log = openSync(path, 'a')
  try {
    writeSync(log, 'first\n')
    boundLog(path, 10)
    expect(readdirSync(folder)).toEqual(['etcd.log'])
    writeSync(log, 'second\n')
    boundLog(path, 10)
    writeSync(log, 'third\n')
    expect([readFileSync(path, 'utf8'), readFileSync(`${path}.1`, 'utf8')]).toEqual(['third\n', 'first\nsecond\n'])
    appendFileSync(path, 'fourth, and long\n')
    boundLog(path, 10)
    expect(readFileSync(`${path}.1`, 'utf8')).toBe('third\nfourth, and long\n')
  } finally {
    closeSync(log)
  }
})

test('one that is not there yet is no trouble', () => {
  expect(() => boundLog(path)).not.toThrow()
})
