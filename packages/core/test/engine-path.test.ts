import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { obstacleToFollowing, obstacleToReading } from '../src/engine-path.ts'
import type { EngineBuild } from '../src/engine-version.ts'

const engines = {
  'redis 6.2': { flavor: 'redis', version: '6.2.14' },
  'redis 7.0': { flavor: 'redis', version: '7.0.15' },
  'redis 7.2': { flavor: 'redis', version: '7.2.5' },
  'redis 7.4': { flavor: 'redis', version: '7.4.1' },
  'redis 8.2': { flavor: 'redis', version: '8.2.0' },
  'redis 8.4': { flavor: 'redis', version: '8.4.0' },
  'valkey 7.2': { flavor: 'valkey', version: '7.2.8' },
  'valkey 8.0': { flavor: 'valkey', version: '8.0.1' },
  'valkey 8.1': { flavor: 'valkey', version: '8.1.3' },
  'valkey 9.1': { flavor: 'valkey', version: '9.1.2' },
} as const satisfies Record<string, EngineBuild>
type Name = keyof typeof engines

const reads = (reader: Name, writer: Name) => obstacleToReading(engines[reader], engines[writer]) === null
const follows = (replica: Name, primary: Name) => obstacleToFollowing(engines[replica], engines[primary]) === null

describe('tried on real engines', () => {
  test.each<[writer: Name, reader: Name, files: boolean, replica: boolean]>([
    ['redis 7.0', 'redis 7.0', true, true],
    ['redis 7.0', 'valkey 8.0', true, true],
    ['redis 7.0', 'valkey 9.1', true, true],
    ['valkey 8.0', 'redis 7.0', false, false],
    ['valkey 8.0', 'valkey 8.0', true, true],
    ['valkey 8.0', 'valkey 9.1', true, true],
    ['valkey 9.1', 'redis 7.0', false, false],
    ['valkey 9.1', 'valkey 8.0', false, false],
    ['valkey 9.1', 'valkey 9.1', true, true],
  ])('from %s to %s: its files %s, as its replica %s', (writer, reader, files, replica) => {
    expect({ files: reads(reader, writer), replica: follows(reader, writer) }).toEqual({ files, replica })
  })
})

test.each<[writer: Name, reader: Name, files: boolean, replica: boolean]>([
  ['redis 6.2', 'redis 7.0', true, true],
  ['redis 7.0', 'redis 6.2', false, false],
  ['redis 7.2', 'valkey 7.2', true, true],
  ['redis 7.4', 'valkey 9.1', false, false],
  ['redis 8.2', 'redis 7.4', false, false],
  ['redis 8.4', 'redis 8.2', false, false],
  ['redis 8.2', 'redis 8.4', true, true],
  ['valkey 8.1', 'valkey 8.0', true, false],
  ['valkey 7.2', 'redis 7.2', true, false],
])(
  'by the numbers in the sources: from %s to %s: its files %s, as its replica %s',
  (writer, reader, files, replica) => {
    expect({ files: reads(reader, writer), replica: follows(reader, writer) }).toEqual({ files, replica })
  },
)

test('the sentence names both and says what is in the way', () => {
  expect(obstacleToReading(engines['redis 7.0'], engines['valkey 8.0'])).toBe(
    'Valkey 8.0.1 writes snapshots of format 11, and Redis 7.0.15 reads them up to 10',
  )
  expect(obstacleToReading(engines['valkey 9.1'], engines['redis 7.4'])).toBe(
    'Redis 7.4.1 writes a format that only Redis reads',
  )
})

describe('laws', () => {
  const anEngine = fc.constantFrom<EngineBuild>(...Object.values(engines))
  const aPatch = fc.integer({ min: 0, max: 40 })

  test('every engine reads its own files and follows its own kind, whatever the patch', () => {
    fc.assert(
      fc.property(anEngine, aPatch, (engine, patch) => {
        const other = { ...engine, version: engine.version.replace(/\d+$/, String(patch)) }
        expect([obstacleToReading(other, engine), obstacleToFollowing(other, engine)]).toEqual([null, null])
      }),
    )
  })

  test('who may follow may read, and no two of different releases may follow each other both ways', () => {
    fc.assert(
      fc.property(anEngine, anEngine, (one, other) => {
        if (obstacleToFollowing(one, other) === null) expect(obstacleToReading(one, other)).toBeNull()
        const both = obstacleToFollowing(one, other) === null && obstacleToFollowing(other, one) === null
        expect(both).toBe(one.flavor === other.flavor && one.version === other.version)
      }),
    )
  })
})
