import { describe, expect, test } from 'vitest'
import type { Certificate, Document, SpecText, SuppliedSeen } from '../src/index.ts'
import {
  addressesOf,
  certificatesDue,
  judgeSpecChange,
  keyName,
  parseSpec,
  renderConfig,
  renderSentinel,
  secretsFor,
  uncovered,
  usesTls,
  withIdentity,
} from '../src/index.ts'
import { planCertify, planRenewal } from '../src/plan/certify.ts'
import type { PlanInput } from '../src/plan/step.ts'
import { aDeployment, wallNow } from './support/deployment.ts'

const day = 86_400_000
const wanted: SpecText = { name: 'shop', security: { tls: 'on' } }

const aCertificate = (change: Partial<Certificate> = {}): Certificate => ({
  pem: 'PEM',
  fingerprint: 'aa',
  addresses: ['127.0.0.1', 'localhost'],
  renewAt: wallNow + 100 * day,
  endsAt: wallNow + 200 * day,
  ...change,
})

/** All nodes have one, but for those that are said otherwise; undefined: none. */
function input(of: Record<string, Certificate | undefined> = {}, supplied?: SuppliedSeen, spec = wanted): PlanInput {
  const plain = aDeployment({ spec })
  const all = Object.fromEntries(plain.document.nodes.map(({ id }) => [id, id in of ? of[id] : aCertificate()]))
  const known = Object.entries(all).filter((entry): entry is [string, Certificate] => entry[1] !== undefined)
  const document: Document = { ...plain.document, certificates: { authority: 'CA', of: Object.fromEntries(known) } }
  return { ...plain.input(), document, ...(supplied === undefined ? {} : { supplied }) }
}

describe('whether engines speak TLS', () => {
  const tls = (spec: SpecText): boolean => usesTls(parseSpec({ name: 'shop', ...spec }))

  test('on this machine alone only where it is asked for', () => {
    expect(tls({})).toBe(false)
    expect(tls({ security: { tls: 'off' } })).toBe(false)
    expect(tls(wanted)).toBe(true)
  })

  test('always where another machine can reach them', () => {
    const spec = parseSpec({ name: 'shop' })
    expect(usesTls({ ...spec, expose: { ...spec.expose, bind: '10.77.0.11' } })).toBe(true)
    expect(usesTls({ ...spec, hosts: [{ name: 'a', address: '10.77.0.11', tiebreaker: false }] })).toBe(true)
  })

  test('and `off` is refused there, with the reason', () => {
    const off = { name: 'shop', expose: { bind: '10.77.0.11' }, security: { tls: 'off' } }
    expect(() => parseSpec(off)).toThrow(/security\.tls: passwords and data would cross the network in clear/)
  })

  test('a certificate that nobody would show is refused', () => {
    const certificate = { ca: '/ca.crt', cert: '/a.crt', key: '/a.key' }
    expect(() => parseSpec({ name: 'shop', security: { certificate } })).toThrow(
      /security\.certificate: shown by nobody/,
    )
  })

  test('a running deployment neither begins nor ends it, and says what to do', () => {
    const [clear, secured] = [parseSpec({ name: 'shop' }), parseSpec(wanted)]
    const terms = { used: [], acceptEviction: false }
    const [change] = judgeSpecChange(clear, secured, terms)
    expect(change).toMatchObject({ path: 'security.tls', how: 'refused' })
    expect(change?.instead).toContain('Create a deployment with security.tls on under another name')
    expect(judgeSpecChange(secured, clear, terms)).toMatchObject([{ how: 'refused' }])
  })
})

describe('who needs a certificate', () => {
  const dueIn = ({ document, spec }: PlanInput, at = wallNow) => certificatesDue(document, spec, at).map(({ id }) => id)

  test('whoever has none', () => {
    expect(dueIn(input())).toEqual([])
    expect(dueIn(input({ 'node-2': undefined }))).toEqual(['node-2'])
  })

  test('whose time is two thirds over, and not a moment sooner', () => {
    const world = input({ 'node-3': aCertificate({ renewAt: wallNow + day }) })
    expect(dueIn(world, wallNow + day - 1)).toEqual([])
    expect(dueIn(world, wallNow + day)).toEqual(['node-3'])
  })

  test('who is reached by another address than it was made for', () => {
    expect(dueIn(input({ 'node-1': aCertificate({ addresses: ['10.0.0.1'] }) }))).toEqual(['node-1'])
  })

  test('its addresses are its own, what it announces, and the proxy', () => {
    const spec = parseSpec({ name: 'shop', topology: 'sentinel', expose: { proxy: 'yes' } })
    const hosts = [
      { name: 'b', address: '10.0.0.2', tiebreaker: false },
      { name: 'a', address: '10.0.0.1', tiebreaker: false, announce: { ip: '203.0.113.9', hostname: 'a.example.org' } },
    ]
    const place = { host: 'a', address: '10.0.0.1' }
    expect(addressesOf(place, { ...spec, hosts })).toEqual(['10.0.0.1', '203.0.113.9', 'a.example.org', '10.0.0.2'])
  })

  test('a wildcard stands for one label', () => {
    const { addresses: _, ...rest } = aCertificate()
    const names = ['a.example.org', 'a.b.example.org', 'example.org']
    expect(uncovered({ ...rest, addresses: ['*.example.org'] }, names)).toEqual(['a.b.example.org', 'example.org'])
  })

  test('the plan asks for it, and does nothing in the same turn', () => {
    expect(planCertify(input({ 'node-2': undefined }))).toMatchObject({
      actions: [],
      because: 'node-2: a new certificate is due',
      certify: [{ id: 'node-2', addresses: ['127.0.0.1', 'localhost'] }],
    })
    expect(planCertify(input()).because).toBeNull()
  })
})

describe('certificates that somebody supplies', () => {
  const spec = { ...wanted, security: { tls: 'on', certificate: { ca: '/ca.crt', cert: '/a.crt', key: '/a.key' } } }
  const read = (change: Partial<Certificate> = {}): SuppliedSeen => ({
    kind: 'read',
    authority: 'CA',
    certificate: aCertificate(change),
  })

  test('are shown by all once the files change', () => {
    expect(planCertify(input({}, read(), spec)).because).toBeNull()
    const step = planCertify(input({}, read({ fingerprint: 'bb' }), spec))
    expect(step.certify).toHaveLength(6)
  })

  test('stay as they were while the files cannot be used', () => {
    const unreadable = planCertify(input({}, { kind: 'unreadable', because: '/a.key cannot be read' }, spec))
    expect(unreadable).toMatchObject({
      actions: [],
      because: '/a.key cannot be read: the engines go on with the certificate of before',
    })
    const foreign = planCertify(input({}, read({ fingerprint: 'bb', addresses: ['10.9.9.9'] }), spec))
    expect(foreign.because).toContain('/a.crt is not for 127.0.0.1, localhost')
    expect(foreign.certify).toBeUndefined()
  })

  test('are asked for before they end', () => {
    const old = { renewAt: wallNow - 1 }
    const of = Object.fromEntries([1, 2, 3, 4, 5, 6].map((n) => [`node-${n}`, aCertificate(old)]))
    expect(planCertify(input(of, read(old), spec)).because).toMatch(
      /^the certificate of node-1 ends .*: put another one at/,
    )
  })
})

describe('the files', () => {
  const engine = { flavor: 'redis', version: '7.0.15' } as const
  const dir = '/home/shop/node-1'

  test('an engine listens nowhere in clear', () => {
    const { spec, document } = aDeployment({ spec: wanted })
    const node = document.nodes[0]
    if (node === undefined) throw new Error('no node')
    const text = renderConfig({ spec, node, secrets: {}, engine, dir, identity: 'ab.pem' })
    expect(text).toMatch(/^port 0$/m)
    expect(text).toMatch(/^tls-port 7001$/m)
    expect(text).toMatch(/^tls-replication yes$/m)
    expect(text).toMatch(/^tls-cluster yes$/m)
    expect(text).toMatch(/^tls-cert-file \/home\/shop\/node-1\/tls\/ab\.pem$/m)
  })

  test("a Sentinel's own file keeps what it has learned, and gets its new certificate", () => {
    const spec = parseSpec({ ...wanted, topology: 'sentinel' })
    const place = { id: 'sentinel-1', host: 'local', address: '127.0.0.1', port: 7003 }
    const rendered = (identity: string) => renderSentinel({ spec, place, secrets: {}, dir, identity })
    const learned = `${rendered('ab.pem')}sentinel monitor shop 127.0.0.1 7001 2\n`
    const next = withIdentity(learned, rendered('cd.pem'))
    expect(next).toBe(learned.replaceAll('ab.pem', 'cd.pem'))
    expect(withIdentity(next, rendered('cd.pem'))).toBe(next)
  })

  test('private keys are no passwords of users, and stay when users go', () => {
    const secrets = { [keyName('node-1')]: 'KEY', gone: 'x' }
    expect(secretsFor(parseSpec(wanted), secrets, () => 'new')).toMatchObject({ [keyName('node-1')]: 'KEY' })
  })
})

test('Sentinels end one at a time for a new certificate, and none while one is away', () => {
  const files = new Map(
    [1, 2].map((n) => [
      `sentinel-${n}`,
      { config: '', users: '', tls: { authority: 'CA', identity: { file: 'cd.pem', pem: '' } } },
    ]),
  )
  const sentinel = (n: number, quorumOk: boolean) => ({
    id: `sentinel-${n}`,
    life: 'alive',
    agent: { certificate: '/x/ab.pem' },
    watch: { quorumOk },
  })
  const planned = (quorumOk: boolean) =>
    planRenewal({ files, picture: { sentinels: [sentinel(1, true), sentinel(2, quorumOk)] } } as unknown as PlanInput)
  expect(planned(true).actions).toEqual([{ kind: 'stop', node: 'sentinel-1', save: false }])
  expect(planned(false)).toMatchObject({ actions: [], because: expect.stringContaining('once all Sentinels') })
})
