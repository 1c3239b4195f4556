import { expect, test } from 'vitest'
import { hostText } from '../../src/cli/host-text.ts'
import type { HostLooked } from '../../src/hosts/desk.ts'

const gb = 1024 ** 3

const host: HostLooked = {
  name: 'b',
  address: '10.0.0.2',
  port: 7600,
  zone: 'eu-1b',
  region: '',
  deployments: '/home/agent/deployments',
  joinedAt: 0,
  state: 'here',
  carries: ['shop: node-2, node-4'],
  facts: {
    kernel: '6.1.0',
    boot: 'boot',
    cores: 8,
    memoryBytes: 32 * gb,
    limits: { memoryBytes: 16 * gb, cores: null },
    swap: null,
    disk: { totalBytes: 100 * gb, freeBytes: 40 * gb, readOnly: true },
    overcommit: 0,
    hugePages: 'never',
    somaxconn: 4096,
    openFiles: null,
    packages: ['redis-server 5:7.0.15-1'],
    wallNow: 0,
    clockJumpMs: 0,
    usage: { cpu: 0.124, memoryFreeBytes: 20 * gb },
  },
  findings: [{ about: 'overcommit', because: 'vm.overcommit_memory is 0', todo: 'sysctl vm.overcommit_memory=1' }],
}

test('a machine is shown with its limits, what is free, and what to mend', () => {
  expect(hostText(host).split('\n')).toEqual([
    'b   here   zone eu-1b',
    'agent    10.0.0.2:7600, joined 1970-01-01 00:00:00Z',
    'carries  shop: node-2, node-4',
    'kernel   6.1.0',
    'cores    8, 12 % used',
    'memory   32 GB, 16 GB allowed by its control group, 20 GB free',
    'swap     none',
    'disk     100 GB, 40 GB free, read-only',
    'files    not known',
    'engines  redis-server 5:7.0.15-1',
    '',
    'overcommit: vm.overcommit_memory is 0',
    '  do: sysctl vm.overcommit_memory=1',
  ])
})

test('of one whose agent is away nothing is claimed', () => {
  const away = hostText({ ...host, state: 'away', carries: [], facts: null, findings: [] })
  expect(away.split('\n').slice(2)).toEqual(['carries  nothing', '', 'what the machine is, its agent does not say now'])
})
