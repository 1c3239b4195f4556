/** What `holdfast firewall` prints, loaded by the kernel: a machine, an application and a stranger, each in a network of its own. */
import { execFileSync, spawn } from 'node:child_process'
import type { FirewallInput } from '@holdfast/core'
import { firewallOf, renderFirewall } from '@holdfast/core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { eventually } from '../support/eventually.ts'

const [host, shop, stranger] = ['host', 'shop', 'stranger'].map((name) => `hf-${name}-${process.pid}`) as [
  string,
  string,
  string,
]
const address = '10.79.1.1'
const [engine, bus, foreign] = [7001, 17_001, 8080]

const ip = (...words: string[]): string => execFileSync('ip', words, { encoding: 'utf8' })
const inside = (place: string, ...words: string[]): string[] => ['netns', 'exec', place, ...words]

const listenAt = `
  const hear = (one) => one.on('error', () => {}).resume()
  for (const port of process.argv.slice(1)) require('net').createServer(hear).listen(port)`
const askAt = `
  const [address, ...ports] = process.argv.slice(1)
  const ask = (port) => new Promise((resolve) => {
    const socket = require('net').connect(port, address, () => { socket.destroy(); resolve(port) })
    socket.setTimeout(1500, () => { socket.destroy(); resolve(undefined) })
    socket.on('error', () => resolve(undefined))
  })
  Promise.all(ports.map(ask)).then((open) => console.log(JSON.stringify(open.filter(Boolean).map(Number))))`

/** The ports that can be reached from a place. */
const reached = (from: string): number[] =>
  JSON.parse(
    ip(...inside(from, process.execPath, '-e', askAt, address, String(engine), String(bus), String(foreign))),
  ) as number[]

/** A link between two places, and the address of each end. */
function link(name: string, to: string, net: string): void {
  ip('link', 'add', name, 'netns', host, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', to)
  ip('-n', host, 'addr', 'add', `${net}.1/24`, 'dev', name)
  ip('-n', to, 'addr', 'add', `${net}.2/24`, 'dev', 'eth0')
  ip('-n', host, 'link', 'set', name, 'up')
  ip('-n', to, 'link', 'set', 'eth0', 'up')
}

beforeAll(async () => {
  for (const place of [host, shop, stranger]) ip('netns', 'add', place)
  ip('-n', host, 'link', 'set', 'lo', 'up')
  link('near', shop, '10.79.1')
  link('far', stranger, '10.79.2')
  ip('-n', stranger, 'route', 'add', 'default', 'via', '10.79.2.1')
  const ports = [engine, bus, foreign].map(String)
  const listener = spawn('ip', inside(host, process.execPath, '-e', listenAt, ...ports), { stdio: 'ignore' })
  listener.unref()
  for (const place of [shop, stranger]) {
    await eventually(() => expect(reached(place)).toEqual([engine, bus, foreign]), { withinMs: 20_000 })
  }
})

afterAll(() => {
  for (const place of [host, shop, stranger]) {
    for (const pid of ip('netns', 'pids', place).split('\n').filter(Boolean)) process.kill(Number(pid), 'SIGKILL')
    ip('netns', 'delete', place)
  }
})

test('the rules let the application to the engine, and nobody else to anything of ours', () => {
  const status = {
    name: 'shop-eu',
    topology: 'cluster',
    nodes: [{ host: address, port: engine }],
    sentinels: [],
    proxy: null,
  } as unknown as FirewallInput['status']
  const agents = [{ name: 'a', address, port: 7600 }]
  const clients = ['10.79.1.2', '10.79.1.0/30', 'fd00:20::/32']
  const firewall = firewallOf({ status, clients, agents, controllers: [], etcd: [], joining: [] })
  const rules = renderFirewall(firewall, 'nftables')
  const nft = (...words: string[]): string =>
    execFileSync('ip', inside(host, 'nft', ...words), { input: rules, encoding: 'utf8' })

  nft('--check', '--file', '-')
  expect(reached(stranger)).toEqual([engine, bus, foreign])
  // Twice: what is loaded again takes the place of what was there.
  nft('--file', '-')
  nft('--file', '-')
  expect(reached(shop)).toEqual([engine, foreign])
  expect(reached(stranger)).toEqual([foreign])
  // The machine itself is no stranger.
  expect(reached(host)).toEqual([engine, bus, foreign])
})
