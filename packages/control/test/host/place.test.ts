import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { restorePaths } from '../../src/host/backup/paths.ts'
import type { Placing } from '../../src/host/backup/place.ts'
import { placeFetched } from '../../src/host/backup/place.ts'
import { DataDirectory } from '../../src/host/data-files.ts'

let nodeDir: string
beforeEach(() => {
  nodeDir = mkdtempSync(join(tmpdir(), 'holdfast-place-'))
  mkdirSync(join(nodeDir, 'data'))
  writeFileSync(join(nodeDir, 'data', 'dump.rdb'), 'what was there')
  mkdirSync(join(nodeDir, 'restore'))
  writeFileSync(restorePaths(nodeDir).fetchedFile('op'), 'REDIS')
})
afterEach(() => rmSync(nodeDir, { recursive: true, force: true }))

const dataDir = (): string => join(nodeDir, 'data')
const placing = (some: Partial<Placing> = {}): Placing => ({
  node: 'node-1',
  nodeDir,
  dataDir: dataDir(),
  restore: 'op',
  bytes: 5,
  asLog: false,
  forget: () => undefined,
  ...some,
})

test('a snapshot takes the place of the data that was there, which is put aside', () => {
  placeFetched(placing())
  expect(readdirSync(dataDir())).toEqual(['dump.rdb'])
  expect(readFileSync(join(dataDir(), 'dump.rdb'), 'utf8')).toBe('REDIS')
  expect(readFileSync(join(restorePaths(nodeDir).before('op'), 'dump.rdb'), 'utf8')).toBe('what was there')
})

test('where its engine writes a log in parts, it is the first part of that', () => {
  placeFetched(placing({ asLog: true }))
  expect(readdirSync(dataDir())).toEqual(['appendonlydir'])
  expect(new DataDirectory(dataDir()).files()).toMatchObject({ aof: true, rdb: false })
  const folder = join(dataDir(), 'appendonlydir')
  expect(readFileSync(join(folder, 'appendonly.aof.1.base.rdb'), 'utf8')).toBe('REDIS')
  expect(readFileSync(join(folder, 'appendonly.aof.manifest'), 'utf8')).toBe(
    'file appendonly.aof.1.base.rdb seq 1 type b\n',
  )
})

test('who follows gets nothing, and placed twice it is placed once', () => {
  const forgotten: string[] = []
  const once = placing({ bytes: null, asLog: true, forget: () => forgotten.push('once') })
  placeFetched(once)
  writeFileSync(join(dataDir(), 'since'), 'written since')
  placeFetched(once)
  expect(readdirSync(dataDir())).toEqual(['since'])
  expect(forgotten).toEqual(['once'])
})

test('nothing is touched where the file is not whole', () => {
  expect(() => placeFetched(placing({ bytes: 6 }))).toThrow('node-1 has not fetched what it shall start from')
  expect(readFileSync(join(dataDir(), 'dump.rdb'), 'utf8')).toBe('what was there')
})
