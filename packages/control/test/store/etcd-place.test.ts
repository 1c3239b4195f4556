import { writeFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import type { EtcdFlags } from '../../src/store/etcd/place.ts'
import { parseEtcdPlace, readEtcdPlace, termsOf } from '../../src/store/etcd/place.ts'
import { codeOf } from './store.contract.ts'
import { temporaryDirectory } from './temporary-home.ts'

const nothingElse = { user: null, passwordFile: null, ca: null, cert: null, key: null }

describe('where the etcd of a home is', () => {
  test('is read with its members, and the port that etcd has by itself', () => {
    expect(parseEtcdPlace('etcd://127.0.0.1,localhost:2400,[::1]:80', {})).toEqual({
      endpoints: ['http://127.0.0.1:2379', 'http://localhost:2400', 'http://[::1]:80'],
      prefix: '/holdfast/',
      ...nothingElse,
    })
  })

  test('may be reached by TLS, as a user, below a prefix', () => {
    const files = {
      storeCa: '/a/ca.pem',
      storeCert: '/a/c.pem',
      storeKey: '/a/k.pem',
      storePasswordFile: '/a/password',
    }
    expect(parseEtcdPlace('etcds://us%40er@etcd-1.internal/eu/shop', files)).toEqual({
      endpoints: ['https://etcd-1.internal:2379'],
      prefix: '/eu/shop/',
      user: 'us@er',
      passwordFile: '/a/password',
      ca: '/a/ca.pem',
      cert: '/a/c.pem',
      key: '/a/k.pem',
    })
  })

  test('is not spoken to in clear on another machine, unless somebody says so', () => {
    expect(codeOf(() => parseEtcdPlace('etcd://127.0.0.1,10.0.0.2', {}))).toBe('REFUSED_UNSAFE')
    expect(parseEtcdPlace('etcd://10.0.0.2', { storePlain: true }).endpoints).toEqual(['http://10.0.0.2:2379'])
  })

  test.each<[string, EtcdFlags]>([
    ['redis://127.0.0.1', {}],
    ['etcd://', {}],
    ['etcd://:2379', {}],
    ['etcd://127.0.0.1:notaport', {}],
    ['etcd://user:password@127.0.0.1', { storePasswordFile: '/p' }],
    ['etcd://user@127.0.0.1', {}],
    ['etcd://127.0.0.1', { storePasswordFile: '/p' }],
    ['etcd://127.0.0.1', { storeCert: '/c' }],
    ['etcd://127.0.0.1/ümlaut', {}],
    [`etcd://${Array.from({ length: 10 }, () => '127.0.0.1').join(',')}`, {}],
  ])('%s is refused', (url, flags) => {
    expect(codeOf(() => parseEtcdPlace(url, flags))).toBe('USAGE')
  })

  test('is kept without what is in its files, which are read each time', () => {
    const { path, clean } = temporaryDirectory()
    writeFileSync(`${path}/password`, 'canary-77\n')
    const place = parseEtcdPlace('etcd://root@127.0.0.1', { storePasswordFile: `${path}/password` })
    const kept = JSON.stringify(place)
    expect(kept).not.toContain('canary-77')
    expect(readEtcdPlace(kept, 'store.json')).toEqual(place)
    expect(termsOf(place).user).toEqual({ name: 'root', password: 'canary-77' })
    clean()
    expect(codeOf(() => termsOf(place))).toBe('USAGE')
    expect(codeOf(() => readEtcdPlace('{"endpoints":[]}', 'store.json'))).toBe('REFUSED_UNSAFE')
  })
  test('a certificate that was made anew is shown from then on, and one that is missed stays what it was', () => {
    const { path, clean } = temporaryDirectory()
    const files = { storeCa: `${path}/ca.pem`, storeCert: `${path}/c.pem`, storeKey: `${path}/k.pem` }
    for (const file of Object.values(files)) writeFileSync(file, 'first')
    const terms = termsOf(parseEtcdPlace('etcds://10.0.0.1', files))
    expect(terms.tls).toEqual({ authority: 'first', certificate: 'first', key: 'first' })
    writeFileSync(files.storeCert, 'second')
    expect(terms.tls?.certificate).toBe('second')
    clean()
    expect(terms.tls?.certificate).toBe('second')
  })
})
