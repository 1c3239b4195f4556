import { expect, test } from 'vitest'
import {
  backportsOf,
  type Distribution,
  keyringOf,
  newestOf,
  parseOrigins,
  parseSources,
  sourceLine,
} from '../../src/binary/distribution.ts'
import { upstreamVersion } from '../../src/binary/version.ts'

const bookworm: Distribution = {
  origin: 'Debian',
  uri: 'http://mirror.example.org/debian/',
  codename: 'bookworm',
  component: 'main',
}

test("the release's own list names the server, and not what stands beside it", () => {
  const answer = [
    'https://packages.example.org/apt/|Somebody|stable|main',
    'http://mirror.example.org/security/|Debian|bookworm-security|main',
    'http://mirror.example.org/debian/|Debian|bookworm-updates|main',
    'http://mirror.example.org/debian/|Debian|bookworm|contrib',
    'http://mirror.example.org/debian/|Debian|bookworm|main',
    '',
  ].join('\n')
  expect(parseOrigins(answer)).toEqual(bookworm)
})

test('lists that were never read, and foreign ones, name nobody', () => {
  expect(parseOrigins('http://mirror.example.org/debian/|$(ORIGIN)|$(CODENAME)|main\n')).toBeNull()
  expect(parseOrigins('http://mirror.example.org/mint/|linuxmint|virginia|main\n')).toBeNull()
  expect(parseOrigins('http://mirror.example.org/a b/|Debian|bookworm|main\n')).toBeNull()
  expect(parseOrigins('')).toBeNull()
})

test('what was rebuilt and the newest source are other suites of the same server', () => {
  expect(sourceLine(bookworm, 'deb', backportsOf(bookworm), keyringOf(bookworm))).toBe(
    'deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://mirror.example.org/debian/ bookworm-backports main\n',
  )
  expect(sourceLine(bookworm, 'deb-src', newestOf(bookworm) ?? '', null)).toBe(
    'deb-src http://mirror.example.org/debian/ sid main\n',
  )
})

test('Ubuntu keeps both engines in universe, and its newest source is not built', () => {
  const answer =
    'http://mirror.example.org/ubuntu/|Ubuntu|noble|main\nhttp://mirror.example.org/ubuntu/|Ubuntu|noble|universe\n'
  const noble = parseOrigins(answer)
  expect(noble).toMatchObject({ codename: 'noble', component: 'universe' })
  expect(newestOf({ ...bookworm, origin: 'Ubuntu' })).toBeNull()
})

test('the versions of a source package, each once', () => {
  const answer =
    'Package: valkey\nVersion: 9.1.2-1\n\nPackage: valkey\nVersion: 9.1.2-1\n\nPackage: valkey\nVersion: 8.1.3+dfsg1-1\n'
  expect(parseSources(answer, upstreamVersion)).toEqual([
    { debianVersion: '9.1.2-1', version: '9.1.2' },
    { debianVersion: '8.1.3+dfsg1-1', version: '8.1.3' },
  ])
})
