import { expect, test } from 'vitest'
import { mayBuild } from '../../src/binary/build.ts'

test.each([
  ['auto', null, false],
  ['valkey', null, false],
  ['valkey', '7.2', false],
  ['valkey', '9.1', true],
  ['auto', '9', true],
  ['redis', '9', false],
] as const)('%s %s is worth a build: %s', (flavor, version, worth) =>
  expect(mayBuild({ flavor, version, path: null })).toBe(worth),
)
