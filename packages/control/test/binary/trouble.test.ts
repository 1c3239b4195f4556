import { expect, test } from 'vitest'
import { aptComplaint, building, diskProblem, diskRefusal, fetching, hasRoom } from '../../src/binary/trouble.ts'

test.each([
  ['dpkg-deb: error: failed to write: No space left on device', 'full'],
  ['ENOSPC: no space left on device, write', 'full'],
  ["E: You don't have enough free space in /x/archives/.", 'full'],
  ['Disk quota exceeded', 'full'],
  ["EROFS: read-only file system, mkdir '/x'", 'read-only'],
  ['W: chmod 0755 of /x failed (30: Read-only file system)', 'read-only'],
  ["EACCES: permission denied, mkdir '/x'", 'read-only'],
  ['E: Unable to locate package redis-server', null],
])('"%s" says of the disk: %s', (said, problem) => expect(diskProblem(said)).toBe(problem))

test('a refusal names the place and the way out', () => {
  expect(diskRefusal('full', fetching('/h/engines'))).toMatchObject({
    code: 'HOST_DISK_FULL',
    message: expect.stringContaining('/h/engines takes 100 MB for a moment. Free some space'),
  })
  expect(diskRefusal('read-only', fetching('/h/engines'))).toMatchObject({
    code: 'HOST_READ_ONLY',
    message: expect.stringContaining('Set HOLDFAST_HOME'),
  })
  expect(diskRefusal('full', building('/c/engines')).message).toMatch(
    /\/c\/engines takes 300 MB .* set XDG_CACHE_HOME to/,
  )
})

const disk = (bavail: number) => ({ blocks: 1_000_000, bavail, bsize: 4096 })

test('there is room from 100 MB on, and where the disk does not say', () => {
  expect(hasRoom(disk(25_599), fetching('/h'))).toBe(false)
  expect(hasRoom(disk(25_600), fetching('/h'))).toBe(true)
  expect(hasRoom({ blocks: 0, bavail: 0, bsize: 4096 }, fetching('/h'))).toBe(true)
})

test('the complaint is the line that says why, not the last one', () => {
  const stderr = `W: Download is performed unsandboxed as root
E: Failed to fetch http://example.org/Packages  Could not connect to example.org:80
E: Some index files failed to download. They have been ignored, or old ones used instead.
`
  expect(aptComplaint(stderr)).toBe('Failed to fetch http://example.org/Packages Could not connect to example.org:80')
  expect(aptComplaint('W: a warning\nE: Unable to locate package x\n')).toBe('Unable to locate package x')
  expect(aptComplaint('something else\n')).toBe('something else')
  expect(aptComplaint('')).toBeNull()
})
