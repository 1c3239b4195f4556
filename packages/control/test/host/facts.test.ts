import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { judgeHost } from '@holdfast/core'
import { expect, onTestFinished, test } from 'vitest'
import { systemClock } from '../../src/clock.ts'
import { FactsReader } from '../../src/host/facts.ts'

const plain = {
  'proc/sys/kernel/osrelease': '6.1.0-18-amd64\n',
  'proc/stat': 'cpu  100 0 100 700 100 0 0 0 50 0\ncpu0 1 0 1 1\ncpu1 1 0 1 1\nintr 5\n',
  'proc/meminfo': 'MemTotal:  4000 kB\nMemAvailable:  3000 kB\nSwapTotal:  1000 kB\nSwapFree:  900 kB\n',
  'proc/sys/vm/overcommit_memory': '0\n',
  'proc/sys/net/core/somaxconn': '128\n',
  'proc/self/limits':
    'Limit   Soft Limit  Hard Limit  Units\nMax open files            1024                 4096                 files\n',
  'proc/self/mounts': '/dev/a / ext4 rw,noatime 0 0\n/dev/b /data ext4 ro 0 0\n',
  'sys/kernel/mm/transparent_hugepage/enabled': 'always [madvise] never\n',
  'var/lib/dpkg/status': [
    'Package: redis-server\nStatus: install ok installed\nVersion: 5:7.0.15-1\n',
    'Package: valkey-server\nStatus: deinstall ok config-files\nVersion: 8.0.1\n',
    'Package: bash\nStatus: install ok installed\nVersion: 5.2\n',
  ].join('\n'),
}

/** A machine as a tree of files. */
function aMachine(files: Readonly<Record<string, string>>) {
  const root = mkdtempSync(join(tmpdir(), 'holdfast-facts-'))
  onTestFinished(() => rmSync(root, { recursive: true }))
  const write = (path: string, text: string): void => {
    mkdirSync(dirname(join(root, path)), { recursive: true })
    writeFileSync(join(root, path), text)
  }
  for (const [path, text] of Object.entries(files)) write(path, text)
  const time = { wall: 1_000_000, now: 500 }
  const clock = { wall: () => time.wall, now: () => time.now, boot: 'boot-1' }
  const statfs = () => ({ bsize: 4096, blocks: 1000, bavail: 250 })
  const reader = (directory = '/srv') => new FactsReader({ clock, directory, root, statfs })
  return { write, time, reader }
}

test('all that matters is read, and nothing of what is not installed', () => {
  const { limits, usage, ...facts } = aMachine(plain).reader().read()
  expect(facts).toEqual({
    kernel: '6.1.0-18-amd64',
    boot: 'boot-1',
    cores: 2,
    memoryBytes: 4_096_000,
    swap: { totalBytes: 1_024_000, usedBytes: 102_400 },
    disk: { totalBytes: 4_096_000, freeBytes: 1_024_000, readOnly: false },
    overcommit: 0,
    hugePages: 'madvise',
    somaxconn: 128,
    openFiles: 4096,
    packages: ['redis-server 5:7.0.15-1'],
    wallNow: 1_000_000,
    clockJumpMs: 0,
  })
  expect(limits).toEqual({ memoryBytes: null, cores: null })
  expect(usage).toEqual({ cpu: null, memoryFreeBytes: 3_072_000, memoryLeftBytes: 3_072_000 })
})

test('limits of control groups of version 2 are the smallest on the way up', () => {
  const { reader } = aMachine({
    ...plain,
    'proc/self/cgroup': '0::/slice/agent\n',
    'sys/fs/cgroup/slice/agent/memory.max': 'max\n',
    'sys/fs/cgroup/slice/agent/cpu.max': '150000 100000\n',
    'sys/fs/cgroup/slice/memory.max': '2000000\n',
    'sys/fs/cgroup/slice/cpu.max': 'max 100000\n',
  })
  expect(reader().read().limits).toEqual({ memoryBytes: 2_000_000, cores: 1.5 })
})

test('limits of control groups of version 1, where no limit is a large number or -1', () => {
  const files = {
    ...plain,
    'proc/self/cgroup': '5:cpu,cpuacct:/box\n4:memory:/box\n1:name=systemd:/box\n',
    'sys/fs/cgroup/memory/box/memory.limit_in_bytes': '1000000\n',
    'sys/fs/cgroup/memory/memory.limit_in_bytes': '9223372036854771712\n',
    'sys/fs/cgroup/cpu/box/cpu.cfs_quota_us': '50000\n',
    'sys/fs/cgroup/cpu/box/cpu.cfs_period_us': '100000\n',
    'sys/fs/cgroup/cpu/cpu.cfs_quota_us': '-1\n',
    'sys/fs/cgroup/cpu/cpu.cfs_period_us': '100000\n',
  }
  expect(aMachine(files).reader().read().limits).toEqual({ memoryBytes: 1_000_000, cores: 0.5 })
})

test('a data directory on a mount of its own is judged by that mount', () => {
  const { reader } = aMachine(plain)
  expect(reader('/data/holdfast').read().disk?.readOnly).toBe(true)
  expect(reader('/database').read().disk?.readOnly).toBe(false)
})

test('the share of the processors is of the time since the look before', () => {
  const { reader, write } = aMachine(plain)
  const facts = reader()
  write('proc/stat', 'cpu  160 0 140 750 150 0 0 0 70 0\ncpu0 1 0 1 1\n')
  expect(facts.read().usage.cpu).toBeCloseTo(0.5)
})

test('a clock that was set, and one that stood still, have jumped', () => {
  const { reader, time } = aMachine(plain)
  const facts = reader()
  time.wall += 70_000
  time.now += 10_000
  expect(facts.read().clockJumpMs).toBe(60_000)
})

test('a machine that says nothing of itself is asked in vain, and not in error', () => {
  const facts = aMachine({}).reader().read()
  expect(facts).toMatchObject({ cores: 0, memoryBytes: null, swap: null, overcommit: null, packages: [] })
  // Of its disk the test says something.
  expect(judgeHost({ ...facts, disk: null }, null)).toEqual([])
})

test('this machine says what it is', () => {
  const facts = new FactsReader({ clock: systemClock, directory: tmpdir() }).read()
  expect(facts.cores).toBeGreaterThan(0)
  expect(facts.memoryBytes).toBeGreaterThan(0)
  expect(facts.disk?.totalBytes).toBeGreaterThan(0)
  expect(facts.openFiles).toBeGreaterThan(0)
  expect(Math.abs(facts.clockJumpMs)).toBeLessThan(1000)
})
