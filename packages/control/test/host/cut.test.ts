import type { FaultName } from '@holdfast/core'
import { describe, expect, test } from 'vitest'
import { rulesOf } from '../../src/host/faults/cut.ts'
import type { FaultCase } from '../../src/host/faults/fault-file.ts'

const aCase = (fault: FaultName): FaultCase => ({
  order: { id: 'f-12ab', deployment: 'shop', fault, forMs: 20_000, targets: [], because: '' },
  scene: {
    home: '/tmp',
    deploymentDir: '/tmp',
    targets: [],
    nodes: [],
    network: { clients: [7001, 7002], engines: [17001, 17002], drilledFrom: ['127.0.0.1', '10.0.0.3'] },
    member: {
      agent: { pid: 2, startTime: 1, address: '10.0.0.1', port: 7600 },
      peers: ['10.0.0.2', '10.0.0.3', 'fd00::4'],
      controllers: ['10.0.0.3', '10.0.0.5'],
      agentPorts: [7600, 7600],
    },
    controller: null,
    engine: { server: '', env: {} },
  },
  secrets: {},
})

const dropped = (fault: FaultName): string[] => {
  const rules = rulesOf(aCase(fault))
  const incoming = rules.slice(rules.indexOf('chain in'), rules.indexOf('chain out'))
  return incoming.split('\n').flatMap((line) => (line.includes('drop') ? [line.trim()] : []))
}

describe('a cut', () => {
  test('of a host is from everybody, and from nobody else', () => {
    expect(dropped('cut-host')).toEqual(['tcp dport @everywhere drop', 'tcp sport @everywhere drop'])
    expect(rulesOf(aCase('cut-host'))).not.toContain('saddr')
  })

  test('from its peers lets those through to the engines who drill, and nobody else', () => {
    expect(dropped('cut-peers').filter((rule) => rule.includes('dport'))).toEqual([
      'ip saddr 10.0.0.2 tcp dport @everywhere drop',
      'ip saddr 10.0.0.3 tcp dport @inner drop',
      'ip6 saddr fd00::4 tcp dport @everywhere drop',
      'ip saddr 10.0.0.5 tcp dport @everywhere drop',
    ])
    expect(rulesOf(aCase('cut-peers'))).toContain('ip daddr 10.0.0.2 tcp sport @everywhere drop')
  })

  test('in one direction is of what it hears, or of what it says', () => {
    const chains = (fault: FaultName): number[] => {
      const [, , incoming = '', outgoing = ''] = rulesOf(aCase(fault)).split('  chain ')
      return [incoming, outgoing].map((chain) => chain.split(' drop').length - 1)
    }
    const both = chains('cut-peers')[0] ?? 0
    expect(both).toBeGreaterThan(0)
    expect(chains('deafen-host')).toEqual([both, 0])
    expect(chains('mute-host')).toEqual([0, both])
  })

  test('that is a slow link loses only what is too much', () => {
    expect(dropped('slow-link')).toEqual([])
    const rules = rulesOf(aCase('slow-link'))
    expect(rules).toContain('chain narrow { limit rate over 64 kbytes/second burst 16 kbytes drop; }')
    expect(rules.match(/@everywhere jump narrow/g)).toHaveLength(4)
  })

  test('is of the ports of the deployment and of agents alone, and ends by itself in the kernel', () => {
    const sets = rulesOf(aCase('cut-host'))
      .split('\n')
      .filter((line) => line.includes('set '))
    expect(sets).toEqual([
      '  set everywhere { type inet_service; flags timeout; elements = { 7001 timeout 25s, 7002 timeout 25s, 17001 timeout 25s, 17002 timeout 25s, 7600 timeout 25s } }',
      '  set inner { type inet_service; flags timeout; elements = { 17001 timeout 25s, 17002 timeout 25s, 7600 timeout 25s } }',
    ])
    expect(rulesOf(aCase('cut-host'))).toContain('table inet holdfast_fault_f_12ab {')
    expect(rulesOf(aCase('flap'), 1500)).toContain('7001 timeout 7s,')
  })
})
