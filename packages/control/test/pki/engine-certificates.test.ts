import { X509Certificate } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Document, Spec } from '@holdfast/core'
import { certificatesDue, keyName, layOut, parseSpec } from '@holdfast/core'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createAuthority, issuePair } from '../../src/pki/authority.ts'
import type { KeyPair } from '../../src/pki/certificate.ts'
import { certify, identityFile, refuseUncovered, SuppliedFiles } from '../../src/pki/engine-certificates.ts'

const now = Date.parse('2026-11-30T12:00:00Z')
const day = 86_400_000

const aDocument = (spec: Spec): Document => ({
  apiVersion: 1,
  name: spec.name,
  revision: 1,
  specRevision: 1,
  settledRevision: 0,
  spec: {},
  wanted: 'up',
  nodes: layOut(spec),
  operations: [],
  scale: { shards: spec.shards, setBy: 'spec' },
  secrets: { app: 'canary' },
  acceptDataLoss: false,
  purge: false,
})

describe('by an authority of its own', () => {
  const spec = parseSpec({ name: 'shop', security: { tls: 'on' } })
  const made = async (document = aDocument(spec), at = now): Promise<Document> => ({
    ...document,
    ...(await certify(document, certificatesDue(document, spec, at), spec, at)),
  })
  const pemOf = ({ certificates }: Document, id: string) => new X509Certificate(certificates?.of[id]?.pem ?? '')

  test('each engine gets a certificate for its addresses, and a key of its own', async () => {
    const document = await made()
    const authority = new X509Certificate(document.certificates?.authority ?? '')
    const own = pemOf(document, 'node-1')
    expect(own.verify(authority.publicKey)).toBe(true)
    expect(own.checkIP('127.0.0.1')).toBe('127.0.0.1')
    expect(own.checkHost('localhost')).toBe('localhost')
    expect(document.secrets[keyName('node-1')]).not.toBe(document.secrets[keyName('node-2')])
    expect(document.secrets['app']).toBe('canary')
    expect(JSON.stringify(document.certificates)).not.toContain('PRIVATE')
    expect(certificatesDue(document, spec, now)).toEqual([])
  })

  test('it lasts for months without a controller, and the authority stays when it is made anew', async () => {
    const first = await made()
    const { renewAt = 0, endsAt = 0 } = first.certificates?.of['node-1'] ?? {}
    expect(endsAt - renewAt).toBeGreaterThan(120 * day)
    const later = await made(first, renewAt)
    expect(later.certificates?.authority).toBe(first.certificates?.authority)
    expect(later.certificates?.of['node-1']?.fingerprint).not.toBe(first.certificates?.of['node-1']?.fingerprint)
    expect(later.certificates?.of['node-1']?.endsAt).toBeGreaterThan(endsAt)
  })

  test('one that is made by a clock that is months ahead is valid today all the same', async () => {
    const first = await made()
    const ahead = await made(first, (first.certificates?.of['node-1']?.renewAt ?? 0) + day)
    expect(Date.parse(pemOf(ahead, 'node-1').validFrom)).toBeLessThanOrEqual(now)
  })

  test('whoever is gone leaves no key behind', async () => {
    const whole = await made()
    const fewer = { ...whole, nodes: whole.nodes.slice(0, 3) }
    const { secrets, certificates } = await certify(fewer, [], spec, now)
    expect(Object.keys(certificates?.of ?? {})).toEqual(['node-1', 'node-2', 'node-3'])
    expect(secrets[keyName('node-4')]).toBeUndefined()
    expect(secrets[keyName('authority')]).toBe(whole.secrets[keyName('authority')])
  })

  test('the name of its file changes with what is in it, and with the authority', async () => {
    const { certificates } = await made()
    const [one, other] = [certificates?.of['node-1'], certificates?.of['node-2']]
    if (one === undefined || other === undefined) throw new Error('no certificates')
    const names = [identityFile(one, 'KEY', 'CA'), identityFile(other, 'KEY', 'CA'), identityFile(one, 'KEY', 'CB')]
    expect(new Set(names.map(({ file }) => file)).size).toBe(3)
  })
})

describe('from files of the owner', () => {
  let folder: string
  let authority: KeyPair
  const path = (name: string): string => join(folder, name)
  const supplied = (): Spec =>
    parseSpec({
      name: 'shop',
      security: { tls: 'on', certificate: { ca: path('ca.crt'), cert: path('a.crt'), key: path('a.key') } },
    })

  const supply = async (addresses: readonly string[]): Promise<KeyPair> => {
    const pair = await issuePair(authority, { identity: { role: 'engine', name: 'shop' }, addresses, now })
    writeFileSync(path('ca.crt'), authority.certificate)
    writeFileSync(path('a.crt'), pair.certificate)
    writeFileSync(path('a.key'), pair.key)
    return pair
  }

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'holdfast-supplied-'))
    authority = await createAuthority('owner', now)
    await supply(['127.0.0.1', 'localhost'])
  })
  afterEach(() => rmSync(folder, { recursive: true, force: true }))

  const wishes = (spec: Spec) => certificatesDue(aDocument(spec), spec, now)

  test('all engines show the same, and another one once the files change', async () => {
    const [spec, files] = [supplied(), new SuppliedFiles()]
    const { certificates, secrets } = await certify(aDocument(spec), wishes(spec), spec, now)
    expect(new Set(Object.values(certificates?.of ?? {}).map(({ fingerprint }) => fingerprint)).size).toBe(1)
    expect(secrets[keyName('authority')]).toBeUndefined()
    const before = files.look(spec)
    expect(before).toMatchObject({ kind: 'read', certificate: { addresses: expect.arrayContaining(['127.0.0.1']) } })
    expect(files.look(spec)).toBe(before)
    await supply(['127.0.0.1', 'localhost', 'shop.example.org'])
    expect(files.look(spec)).toMatchObject({ certificate: { addresses: expect.arrayContaining(['shop.example.org']) } })
  })

  test('what cannot be used is said, with the file and the reason', async () => {
    const [spec, files] = [supplied(), new SuppliedFiles()]
    const because = (): unknown => files.look(spec)
    writeFileSync(
      path('a.key'),
      (await issuePair(authority, { identity: { role: 'engine', name: 'x' }, addresses: [], now })).key,
    )
    expect(because()).toMatchObject({ because: expect.stringContaining(`${path('a.key')} is not the key of`) })
    writeFileSync(path('a.key'), 'nothing')
    expect(because()).toMatchObject({ because: expect.stringContaining('is no private key') })
    rmSync(path('a.key'))
    expect(because()).toMatchObject({ because: expect.stringContaining('cannot be read') })
    await supply(['127.0.0.1'])
    writeFileSync(path('ca.crt'), (await createAuthority('other', now)).certificate)
    expect(because()).toMatchObject({ because: expect.stringContaining('is not of the authority in') })
  })

  test('one that is not for the addresses of the engines is refused', async () => {
    const spec = supplied()
    expect(() => refuseUncovered(spec, wishes(spec))).not.toThrow()
    await supply(['shop.example.org'])
    expect(() => refuseUncovered(spec, wishes(spec))).toThrow(/a\.crt is not for 127\.0\.0\.1, localhost/)
  })
})
