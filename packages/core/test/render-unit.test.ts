import { expect, test } from 'vitest'
import { renderUnit, unitName } from '../src/index.ts'

const terms = {
  part: 'agent',
  home: '/var/lib/holdfast',
  user: 'holdfast',
  command: ['/usr/bin/node', '/opt/holdfast/main.js'],
} as const

const valuesOf = (unit: string): ReadonlyMap<string, string> =>
  new Map([...unit.matchAll(/^(\w+)=(.*)$/gm)].map(([, name = '', value = '']) => [name, value]))

test('it is started again whenever it ends, and its engines are left alone', () => {
  const values = valuesOf(renderUnit(terms))
  expect(values.get('ExecStart')).toBe('/usr/bin/node /opt/holdfast/main.js agent')
  expect(values.get('Environment')).toBe('"HOLDFAST_HOME=/var/lib/holdfast"')
  expect(values.get('Restart')).toBe('always')
  expect(values.get('KillMode')).toBe('process')
  expect(Number(values.get('LimitNOFILE'))).toBeGreaterThan(10_032)
  // Engines would keep the mounts of an agent that is gone, and Node compiles as it runs.
  for (const harmful of ['PrivateTmp', 'ProtectSystem', 'ProtectHome', 'MemoryDenyWriteExecute']) {
    expect(values.has(harmful)).toBe(false)
  }
})

test('root keeps the rights by which it is root', () => {
  expect(valuesOf(renderUnit(terms)).get('CapabilityBoundingSet')).toBe('')
  expect(valuesOf(renderUnit({ ...terms, user: 'root' })).has('CapabilityBoundingSet')).toBe(false)
})

test('no path can end its line or mean anything to systemd', () => {
  const unit = renderUnit({ ...terms, home: '/a "b"\nUser=root/%h', command: ['/my node/$HOME/%n'] })
  const values = valuesOf(unit)
  expect(values.get('Environment')).toBe(String.raw`"HOLDFAST_HOME=/a \"b\" User=root/%%h"`)
  expect(values.get('ExecStart')).toBe('"/my node/$$HOME/%%n" agent')
  expect(values.get('User')).toBe('holdfast')
})

test('each part has a unit of its own', () => {
  expect([unitName('agent'), unitName('serve')]).toEqual(['holdfast-agent.service', 'holdfast-controller.service'])
})
