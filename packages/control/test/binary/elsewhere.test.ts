import { expect, test } from 'vitest'
import { installCommand, systemNames } from '../../src/binary/elsewhere.ts'

const auto = { flavor: 'auto', version: null, path: null } as const

test.each([
  ['darwin', '', 'brew install valkey'],
  ['linux', 'NAME="Fedora Linux"\nID=fedora\n', 'sudo dnf install valkey'],
  ['linux', 'ID=alpine\n', 'sudo apk add valkey'],
  ['linux', 'ID="rocky"\nID_LIKE="rhel centos fedora"\n', 'sudo dnf install valkey'],
  ['linux', 'ID="opensuse-leap"\nID_LIKE="suse opensuse"\n', 'sudo zypper install valkey'],
  ['linux', 'ID=debian\n', 'sudo apt-get install redis-server'],
  ['win32', '', null],
  ['linux', 'ID=constructor\n', null],
])('on %s with "%s": %s', (platform, osRelease, command) => {
  expect(installCommand(systemNames(platform, osRelease), auto)).toBe(command)
})

test('the command installs the flavor that the spec wants', () => {
  expect(installCommand(['darwin'], { ...auto, flavor: 'redis' })).toBe('brew install redis')
  expect(installCommand(['debian'], { ...auto, flavor: 'valkey' })).toBe('sudo apt-get install valkey-server')
})
