import { expect, test } from 'vitest'
import {
  type AptPlace,
  aptOptions,
  type Candidate,
  chooseCandidate,
  downloadArgs,
  parseCandidates,
  parseDownloads,
  resolveArgs,
  updateArgs,
} from '../../src/binary/debian.ts'
import type { WantedEngine } from '../../src/binary/engine-binary.ts'

const anything: WantedEngine = { flavor: 'auto', version: null, path: null }
const redis7: Candidate = {
  flavor: 'redis',
  package: 'redis-server',
  version: '7.0.15',
  debianVersion: '5:7.0.15-1~deb12u10',
}
const valkey8: Candidate = {
  flavor: 'valkey',
  package: 'valkey-server',
  version: '8.1.1',
  debianVersion: '8.1.1+dfsg1-3',
}
const place = (lists: AptPlace['lists']): AptPlace => ({ workDir: '/home/ann/.holdfast/engines/x/apt', lists })

test('the candidate is the one that apt would install, not the first of the table', () => {
  const answer = `redis-server:
  Installed: 5:7.0.15-1~deb12u7
  Candidate: 5:7.0.15-1~deb12u10
  Version table:
     5:7.0.15-1~deb12u10 500
        500 http://example.org bookworm-security/main amd64 Packages
`
  expect(parseCandidates(answer)).toEqual([redis7])
})

const section = (name: string, candidate: string): string =>
  `${name}:\n  Installed: (none)\n  Candidate: ${candidate}\n  Version table:\n`

test('Valkey comes first, and a package without a candidate is not there', () => {
  const both = section('redis-server', redis7.debianVersion) + section('valkey-server', valkey8.debianVersion)
  expect(parseCandidates(both)).toEqual([valkey8, redis7])
  const removed = section('valkey-server', '(none)') + section('redis-server', redis7.debianVersion)
  expect(parseCandidates(removed)).toEqual([redis7])
  expect(parseCandidates('')).toEqual([])
})

test('versions that apt would not install by itself are offered after the one that it would', () => {
  const answer = `valkey-server:
  Installed: 8.1.1+dfsg1-3
  Candidate: 8.1.1+dfsg1-3
  Version table:
     9.0.1-1~bpo13+1 100
        100 http://example.org trixie-backports/main amd64 Packages
 *** 8.1.1+dfsg1-3 500
        500 http://example.org trixie/main amd64 Packages
        100 /var/lib/dpkg/status`
  const nine = { ...valkey8, version: '9.0.1', debianVersion: '9.0.1-1~bpo13+1' }
  expect(parseCandidates(answer)).toEqual([valkey8, nine])
  expect(chooseCandidate([valkey8, nine], { ...anything, version: '9' })).toBe(nine)
})

test('the first candidate that is wanted and young enough is fetched', () => {
  const both = [valkey8, redis7]
  expect(chooseCandidate(both, anything)).toBe(valkey8)
  expect(chooseCandidate(both, { ...anything, flavor: 'redis' })).toBe(redis7)
  expect(chooseCandidate(both, { ...anything, version: '7' })).toBe(redis7)
  expect(chooseCandidate(both, { ...anything, version: '9' })).toBeUndefined()
  expect(chooseCandidate([{ ...redis7, version: '6.0.16' }], anything)).toBeUndefined()
})

test("a file of sources takes the place of the machine's, alone or beside its other ones", () => {
  const beside = aptOptions({ ...place('own'), sources: { file: '/x/sources.list', withMachines: true } })
  expect(beside).toContain('Dir::Etc::sourcelist=/x/sources.list')
  expect(beside.join(' ')).not.toContain('sourceparts')
  const alone = aptOptions({ ...place('own'), sources: { file: '/x/sources.list', withMachines: false } })
  expect(alone).toContain('Dir::Etc::sourceparts=/dev/null')
  expect(aptOptions(place('own')).join(' ')).not.toContain('Dir::Etc')
})

const uri = (file: string, size: number): string => `'http://example.org/pool/${file}' ${file} ${size} SHA256:0`

test('of what apt would install, the engine and its libraries are downloaded', () => {
  const answer = [
    uri('libc6_2.36-9+deb12u14_amd64.deb', 2_759_320),
    uri('libcap2_1%3a2.66-4+deb12u3_amd64.deb', 27_708),
    uri('libjemalloc2_5.3.0-1_amd64.deb', 275_000),
    uri('libssl-dev_3.0.22-1~deb12u2_amd64.deb', 2_400_000),
    uri('libtext-glob-perl_0.11-3_all.deb', 7676),
    uri('lua-cjson_2.1.0+dfsg-2.2_amd64.deb', 19_000),
    uri('lsb-base_11.6_all.deb', 4584),
    uri('adduser_3.134_all.deb', 183_272),
    uri('redis-tools_5%3a7.0.15-1~deb12u10_amd64.deb', 991_988),
    `'http://example.org/pool/r.deb' redis-server_5%3a7.0.15-1~deb12u10_amd64.deb 73908 `,
    '',
  ].join('\n')
  expect(parseDownloads(answer, redis7).map(({ selector, sizeBytes }) => [selector, sizeBytes])).toEqual([
    ['libcap2:amd64=1:2.66-4+deb12u3', 27_708],
    ['libjemalloc2:amd64=5.3.0-1', 275_000],
    ['lua-cjson:amd64=2.1.0+dfsg-2.2', 19_000],
    ['redis-tools:amd64=5:7.0.15-1~deb12u10', 991_988],
    ['redis-server:amd64=5:7.0.15-1~deb12u10', 73_908],
  ])
})

test('apt works below the home only, and needs neither root nor the locks of the system', () => {
  const options = aptOptions(place('own'))
  expect(options).toContain('Dir::State=/home/ann/.holdfast/engines/x/apt')
  expect(options).toContain('Dir::State::lists=/home/ann/.holdfast/engines/x/apt/lists/')
  expect(options).toContain('Dir::Cache=/home/ann/.holdfast/engines/x/apt')
  expect(options).toContain('Debug::NoLocking=true')
  expect(options).toContain('APT::Sandbox::User=root')
  expect(options.filter((_, index) => index % 2 === 0).every((word) => word === '-o')).toBe(true)
})

test("the machine's own lists are read where they are", () => {
  expect(aptOptions(place('system')).some((option) => option.startsWith('Dir::State::lists'))).toBe(false)
  expect(aptOptions(place('system'))).toContain('Dir::State::status=/var/lib/dpkg/status')
})

test('apt is asked what it would install and never told to', () => {
  const args = resolveArgs(place('system'), redis7, 'system')
  expect(args.slice(0, 3)).toEqual(['install', '--reinstall', '--print-uris'])
  expect(args.slice(-2)).toEqual(['redis-server=5:7.0.15-1~deb12u10', 'redis-tools=5:7.0.15-1~deb12u10'])
})

test('an empty status, given last, wins over the status of the machine', () => {
  const args = resolveArgs(place('system'), redis7, 'empty')
  const statuses = args.filter((word) => word.startsWith('Dir::State::status='))
  expect(statuses).toEqual(['Dir::State::status=/var/lib/dpkg/status', 'Dir::State::status=/dev/null'])
})

test('exactly what was resolved is downloaded', () => {
  const download = { package: 'libjemalloc2', selector: 'libjemalloc2:amd64=5.3.0-1', sizeBytes: 1 }
  const args = downloadArgs(place('own'), [download])
  expect(args[0]).toBe('download')
  expect(args.at(-1)).toBe('libjemalloc2:amd64=5.3.0-1')
  expect(updateArgs(place('own'), '/x/update.conf')).toEqual(expect.arrayContaining(['update', '-c', '/x/update.conf']))
})
