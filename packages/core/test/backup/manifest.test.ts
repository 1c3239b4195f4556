import { describe, expect, test } from 'vitest'
import { HoldfastError, parseManifest, parseVerdict, withoutSecrets } from '../../src/index.ts'
import { aFile, aManifest } from './a-manifest.ts'

const refusal = (text: string): HoldfastError => {
  try {
    parseManifest(text, '/backups/b')
  } catch (error) {
    if (error instanceof HoldfastError) return error
    throw error
  }
  throw new Error('it was not refused')
}

describe('a manifest', () => {
  test('is read as it was written', () => {
    expect(parseManifest(JSON.stringify(aManifest()), '/backups/b')).toEqual(aManifest())
  })

  test.each([
    ['cut short', JSON.stringify(aManifest()).slice(0, -40), 'no JSON'],
    [
      'of a newer version',
      JSON.stringify({ ...aManifest(), manifestVersion: 2 }),
      'of version 2, and this Holdfast knows 1',
    ],
    ['of something else', '{"name": "shop"}', 'no manifest of Holdfast'],
    ['a list', '[]', 'no manifest of Holdfast'],
    ['without files', JSON.stringify(aManifest({ files: [] })), 'files'],
    [
      'that points elsewhere',
      JSON.stringify(aManifest({ files: [aFile(1, [], { file: '../../etc/passwd' })] })),
      'file',
    ],
    ['with a field nobody knows', JSON.stringify({ ...aManifest(), extra: 1 }), 'extra'],
  ])('%s is refused, and says what is wrong and what to do', (_, text, why) => {
    const { code, message } = refusal(text)
    expect(code).toBe('BACKUP_UNREADABLE')
    expect(message).toContain(why)
    expect(message).toContain('/backups/b')
    expect(message).toContain('choose another backup')
  })

  test('holds what was wanted without what may be secret', () => {
    const spec = { name: 'shop', security: { users: [{ password: 'p' }] }, notify: [{ url: 'u' }], shards: 3 }
    expect(withoutSecrets(spec)).toEqual({ name: 'shop', shards: 3 })
  })

  test('a verdict that cannot be read is as if nobody had looked', () => {
    expect(parseVerdict(undefined)).toBeUndefined()
    expect(parseVerdict('{"verdict":"fine"}')).toBeUndefined()
  })
})
