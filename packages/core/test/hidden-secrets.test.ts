import { describe, expect, test } from 'vitest'
import { hideSecrets, markSecret, secretsShown } from '../src/index.ts'

const canary = markSecret('Zm9vYmFy-_Zm9vYmFyZm9vYmFyZm9v')
const pem = '-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49\n-----END PRIVATE KEY-----'

describe('a text without its secrets', () => {
  test.each([
    [`AUTH app ${canary}`, 'AUTH app hfs_****'],
    [`{"masterauth":"${canary}","port":1}`, '{"masterauth":"hfs_****","port":1}'],
    [`cut off: ${canary.slice(0, 14)}`, 'cut off: hfs_****'],
    ['redis://app:letmein@10.0.0.7:6379 does not answer', 'redis://app:****@10.0.0.7:6379 does not answer'],
    ['redis://:letmein@10.0.0.7', 'redis://:****@10.0.0.7'],
    ['holdfast+cluster://app:letmein@a:1,b:2/', 'holdfast+cluster://app:****@a:1,b:2/'],
    [`before ${pem} after`, 'before **** a private key **** after'],
    [JSON.stringify({ key: pem, port: 1 }), '{"key":"**** a private key ****","port":1}'],
    [pem.slice(0, 40), '**** a private key ****'],
  ])('%s', (text, hidden) => {
    expect(hideSecrets(text)).toBe(hidden)
    expect(secretsShown(hideSecrets(text))).toEqual([])
  })

  test.each([
    'node-1 is dead, was ok',
    'see https://example.org/a:b@c and mail me@example.org',
    'http://127.0.0.1:7500/api/v1/deployments/shop',
    'moved 819 of 4096 slots to shard-4, 41 s left: hfs_ok',
  ])('%s is as it was', (text) => {
    expect(hideSecrets(text)).toBe(text)
  })

  test('what is shown is found', () => {
    expect(secretsShown(`one ${canary}, and ${canary}`)).toEqual([canary, canary])
    expect(secretsShown(pem)).toEqual([pem])
  })
})

test.each(['r', 'r-', 'r.', 'a:', 'a://', '://', 'a://b:', 'hfs_', '-----BEGIN '])(
  'a long text of %j is gone through once, and not from each of its letters',
  (piece) => {
    const text = piece.repeat(256_000 / piece.length)
    const begun = performance.now()
    hideSecrets(text)
    // A second is many times what it takes; gone through from each letter it would be half a minute.
    expect(performance.now() - begun).toBeLessThan(1000)
  },
)
