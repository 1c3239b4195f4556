import { expect, test } from 'vitest'
import type { WantedEngine } from '../../src/binary/engine-binary.ts'
import {
  compareVersions,
  fitOf,
  matchesVersion,
  nameOfWanted,
  parseEngineVersion,
  upstreamVersion,
} from '../../src/binary/version.ts'

const anything: WantedEngine = { flavor: 'auto', version: null, path: null }

test.each([
  ['Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64 build=1', 'redis', '7.0.15'],
  ['Valkey server v=8.0.1 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64 build=1', 'valkey', '8.0.1'],
  ['Server v=7.2.5 sha=00000000:0 malloc=libc bits=64 build=1', 'valkey', '7.2.5'],
  ['Redis server version 2.4.10 (00000000:0)', 'redis', '2.4.10'],
  ['Valkey server v=9.0.0-rc1 sha=0', 'valkey', '9.0.0'],
  ['warning: overcommit is off\nRedis server v=6.2.0 sha=0', 'redis', '6.2.0'],
])('reads "%s"', (reply, flavor, version) => {
  expect(parseEngineVersion(reply)).toEqual({ flavor, version })
})

test.each(['', 'ls (GNU coreutils) 9.1', 'redis-cli 7.0.15', 'KeyDB server v=6.3.4 sha=0'])(
  'does not take "%s" for an engine',
  (reply) => expect(parseEngineVersion(reply)).toBeNull(),
)

test.each([
  ['5:7.0.15-1~deb12u10', '7.0.15'],
  ['8.1.1+dfsg1-3', '8.1.1'],
  ['5:7.0.15-1ubuntu0.24.04.1', '7.0.15'],
  ['6:8.0~rc1-1', '8.0'],
])('the package version %s is %s', (debian, upstream) => expect(upstreamVersion(debian)).toBe(upstream))

const matching = (wanted: string | null) =>
  ['7.0.1', '7.0.15', '7.2.0', '70.1.0', '17.0.15'].filter((version) => matchesVersion(version, wanted))

test('a wanted version ends at the border of a component', () => {
  expect(matching('7')).toEqual(['7.0.1', '7.0.15', '7.2.0'])
  expect(matching('7.0')).toEqual(['7.0.1', '7.0.15'])
  expect(matching('7.0.1')).toEqual(['7.0.1'])
  expect(matching(null)).toHaveLength(5)
})

test('versions are compared as numbers', () => {
  expect(['7.0.15', '7.0.2', '10.0', '6.2.14', '7.0'].sort(compareVersions)).toEqual([
    '6.2.14',
    '7.0',
    '7.0.2',
    '7.0.15',
    '10.0',
  ])
  expect(compareVersions('7.0', '7.0.0')).toBe(0)
})

test('the oldest supported ones are Redis 6.2 and Valkey 7.2', () => {
  expect(fitOf({ flavor: 'redis', version: '6.0.16' }, anything)).toBe('too-old')
  expect(fitOf({ flavor: 'redis', version: '6.2.0' }, anything)).toBe('fits')
  expect(fitOf({ flavor: 'valkey', version: '7.1.9' }, anything)).toBe('too-old')
  expect(fitOf({ flavor: 'valkey', version: '7.2.4' }, anything)).toBe('fits')
})

test('what was not asked for is another engine, whatever its age', () => {
  const old = { flavor: 'redis', version: '6.0.16' } as const
  expect(fitOf(old, { ...anything, flavor: 'valkey' })).toBe('other')
  expect(fitOf(old, { ...anything, version: '7' })).toBe('other')
  expect(fitOf(old, { ...anything, version: '6' })).toBe('too-old')
})

test('a sentence calls the wanted engine by what was asked for', () => {
  expect(nameOfWanted(anything)).toBe('Valkey or Redis')
  expect(nameOfWanted({ ...anything, version: '8' })).toBe('Valkey or Redis 8')
  expect(nameOfWanted({ ...anything, flavor: 'valkey', version: '8.1' })).toBe('valkey 8.1')
})
