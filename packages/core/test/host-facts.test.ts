import { expect, test } from 'vitest'
import type { HostFacts } from '../src/index.ts'
import { judgeHost } from '../src/index.ts'

const gb = 1024 ** 3
const good: HostFacts = {
  kernel: '6.1.0',
  boot: 'b',
  cores: 4,
  memoryBytes: 8 * gb,
  limits: { memoryBytes: null, cores: null },
  swap: { totalBytes: gb, usedBytes: 0 },
  disk: { totalBytes: 100 * gb, freeBytes: 50 * gb, readOnly: false },
  overcommit: 1,
  hugePages: 'madvise',
  somaxconn: 4096,
  openFiles: 65_536,
  packages: [],
  wallNow: 10_000,
  clockJumpMs: 3,
  usage: { cpu: 0.1, memoryFreeBytes: 4 * gb },
}
const found = (fields: Partial<HostFacts>, wallNow: number | null = 10_000): string[] =>
  judgeHost({ ...good, ...fields }, wallNow).map(({ because }) => because)

test('a machine that is set up for engines has nothing to be mended', () => {
  expect(found({})).toEqual([])
})

test('what its kernel does not say is no finding', () => {
  const unknown = { overcommit: null, hugePages: null, somaxconn: null, openFiles: null, swap: null, disk: null }
  expect(found(unknown, null)).toEqual([])
})

test.each<[Partial<HostFacts>, string]>([
  [
    { hugePages: 'always' },
    'transparent huge pages are always used: while a snapshot is written, each small write copies 2 MB',
  ],
  [
    { overcommit: 0 },
    "vm.overcommit_memory is 0: a snapshot, or a replica's sync, may fail for want of memory that it would not use",
  ],
  [{ somaxconn: 128 }, 'net.core.somaxconn is 128: when all clients come back at once, some are turned away'],
  [{ openFiles: 1024 }, 'an engine may open 1024 files here: too few for 10 000 clients'],
  [
    { swap: { totalBytes: gb, usedBytes: gb / 2 } },
    '512 MB are in swap: an engine that waits for the disk looks frozen',
  ],
  [
    { disk: { totalBytes: 100 * gb, freeBytes: 2 * gb, readOnly: false } },
    '2 GB of 100 GB are free on the disk with the data',
  ],
  [
    { disk: { totalBytes: gb, freeBytes: gb, readOnly: true } },
    'the disk with the data is read-only: no snapshot, no log, no record of the agent can be written',
  ],
  [{ wallNow: 12_500 }, "its clock is 2.5 s ahead of the controller's: logs of both cannot be compared"],
  [{ wallNow: 7500 }, "its clock is 2.5 s behind the controller's: logs of both cannot be compared"],
  [
    { clockJumpMs: -60_000 },
    'its clock has jumped by 60 s since the agent began: it was set, or the machine stood still',
  ],
])('%j is found, with what to do', (fields, because) => {
  const findings = judgeHost({ ...good, ...fields }, 10_000)
  expect(findings.map((finding) => finding.because)).toEqual([because])
  expect(findings[0]?.todo.length).toBeGreaterThan(10)
})
