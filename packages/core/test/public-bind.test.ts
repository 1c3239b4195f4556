import { describe, expect, test } from 'vitest'
import { parseSpec, renderConfig, usesTls } from '../src/index.ts'

const bound = (bind: string, fields: Record<string, unknown> = {}) =>
  parseSpec({ name: 'shop', expose: { bind }, ...fields })

describe('what others can reach', () => {
  test('has TLS by itself, passwords, and the protection of the engine', () => {
    const spec = bound('10.0.0.5')
    expect(usesTls(spec)).toBe(true)
    const node = { id: 'node-1', shard: 'shard-1', host: 'local', address: '10.0.0.5', port: 7001 }
    const secrets = { replication: 'hfs_canary' }
    const config = renderConfig({ spec, node, secrets, engine: { flavor: 'redis', version: '7.0.15' }, dir: '/n' })
    expect(config).toMatch(/^bind 10\.0\.0\.5$/m)
    expect(config).toMatch(/^protected-mode yes$/m)
    expect(config).toMatch(/^aclfile \/n\/users\.acl$/m)
  })

  test('is refused in clear', () => {
    expect(() => bound('10.0.0.5', { security: { tls: 'off' } })).toThrow(
      'security.tls: passwords and data would cross the network in clear',
    )
  })

  test.each([
    ['0.0.0.0', 'expose.bind: what clients and copies are told to connect to'],
    ['::', 'expose.bind: an IPv4 address of this machine'],
    ['cache.example', 'expose.bind: an IPv4 address of this machine'],
    ['10.0.0.5 0.0.0.0', 'expose.bind: an IPv4 address of this machine'],
    ['127.0.0.1 0.0.0.0', 'expose.bind: an IPv4 address of this machine'],
    ['', 'expose.bind: an IPv4 address of this machine'],
  ])('"%s" is no address to listen on', (bind, said) => {
    expect(() => bound(bind)).toThrow(said)
  })

  test('loopback is as it always was', () => {
    expect(usesTls(bound('127.0.0.2'))).toBe(false)
  })
})
