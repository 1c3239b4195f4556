import { describe, expect, test } from 'vitest'
import { objectionsToRestore, parseSpec } from '../../src/index.ts'
import { aFile, aManifest } from './a-manifest.ts'

const redis7 = { flavor: 'redis', version: '7.0.15' } as const
const shop = parseSpec({ name: 'other' })

describe('a backup fits', () => {
  test('a deployment of the same shape, whatever its name and however many copies it has', () => {
    expect(objectionsToRestore(aManifest(), shop, redis7)).toEqual([])
    expect(objectionsToRestore(aManifest(), parseSpec({ name: 'other', replicasPerShard: 2 }), redis7)).toEqual([])
  })

  test('whose slots are shared out otherwise, too: they are taken from the backup', () => {
    const files = [aFile(1, [[0, 99]]), aFile(2, [[100, 16_382]]), aFile(3, [[16_383, 16_383]])]
    expect(objectionsToRestore(aManifest({ files }), shop, redis7)).toEqual([])
  })

  test('but not one with another number of shards', () => {
    const [said] = objectionsToRestore(aManifest(), parseSpec({ name: 'other', shards: 5 }), redis7)
    expect(said).toBe('it has 3 shards, and other has 5')
  })

  test('nor of another topology', () => {
    expect(objectionsToRestore(aManifest({ topology: 'sentinel' }), shop, redis7)[0]).toContain('sentinel')
  })

  test('nor one whose engine cannot read it', () => {
    const files = aManifest().files.map((file) => ({ ...file, rdb: { format: 'REDIS' as const, version: 12 } }))
    expect(objectionsToRestore(aManifest({ files }), shop, redis7)).toHaveLength(3)
  })

  test('and it must have every slot once', () => {
    const files = [aFile(1, [[0, 99]]), aFile(2, [[50, 199]]), aFile(3, [[300, 16_383]])]
    expect(objectionsToRestore(aManifest({ files }), shop, redis7)).toEqual([
      'no file of it has slots 200-299',
      'two files of it have slots 50-99',
    ])
  })
})
