import { mkdirSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { EngineBinary } from '../../packages/control/src/binary/find.ts'
import { findTestEngine, freePorts } from '../support/engines.ts'
import type { Ended } from '../support/program.ts'
import { Program } from '../support/program.ts'

const sixNodes = ['', '', '', '', '', '']

/* Clients as they come, with what `holdfast url` prints and nothing else. */
describe('unmodified clients', () => {
  let it: Program
  let engine: EngineBinary
  let basePort: number
  let password: string

  beforeAll(async () => {
    engine = await findTestEngine()
    it = new Program()
    basePort = await freePorts(6)
    const spec = { name: 'shop', memory: { maxPerNode: '64mb' }, expose: { basePort }, security: { legacyAuth: 'yes' } }
    await it.ok(['up', it.file('shop.yaml', spec), '--detach'])
    mkdirSync(join(it.path, 'typed'))
    symlinkSync(engine.cli ?? '', join(it.path, 'typed', 'redis-cli'))
    password = /:([^:@]+)@/.exec(await url('redis'))?.[1] ?? ''
  })

  afterAll(async () => {
    await it?.close()
  })

  test('redis-cli, with the line as it is printed', async () => {
    const line = await url('redis-cli')
    expect((await shell(`${line} set from redis-cli`)).stdout).toBe('OK\n')
    expect((await shell(`${line} get from`)).stdout).toBe('redis-cli\n')
    expect((await shell(`${line} cluster nodes`)).stdout.trim().split('\n')).toHaveLength(6)
  })

  // redis-cli forgets an AUTH that was typed when it follows a redirection, so these keys live where it signed in.
  test('redis-cli, signing in by hand', async () => {
    const typed = `AUTH app ${password}\nCLUSTER NODES\nINFO server\nSET b yes\n`
    const { stdout } = await shell(`redis-cli -c -p ${basePort}`, typed)
    expect(stdout).toMatch(/^OK$/m)
    for (const [index] of sixNodes.entries()) expect(stdout).toContain(`127.0.0.1:${basePort + index}@`)
    expect(stdout).toContain('redis_version:')
    expect(stdout).not.toMatch(/NOAUTH|NOPERM|WRONGPASS/)
  })

  test('legacyAuth: a password without a user is enough', async () => {
    const { stdout } = await shell(`redis-cli -c -p ${basePort}`, `AUTH ${password}\nSET b legacy\nACL WHOAMI\n`)
    expect(stdout).toMatch(/^OK\nOK\n"?default"?$/m)
    const { stdout: wrong } = await shell(`redis-cli -p ${basePort}`, 'AUTH guessed\nGET b\n')
    expect(wrong).toContain('WRONGPASS')
    expect(wrong).toContain('NOAUTH')
  })

  test('the application cannot do what would harm the deployment', async () => {
    const line = await url('redis-cli')
    for (const command of [
      'flushall',
      'config get maxmemory',
      'shutdown nosave',
      'cluster failover',
      'acl list',
      'keys x',
    ]) {
      expect((await shell(`${line} ${command}`)).stdout, command).toContain('NOPERM')
    }
  })

  test('ioredis, with the lines as they are printed', async () => {
    const more = `await redis.set('from', 'ioredis')
console.log(await redis.get('from'))
await redis.quit()`
    expect((await script(`${await url('ioredis')}\n${more}`)).stdout).toBe('ioredis\n')
  })

  test('node-redis, with the lines as they are printed', async () => {
    const more = `await cluster.set('from', 'node-redis')
console.log(await cluster.get('from'))
await cluster.close()`
    expect((await script(`${await url('node-redis')}\n${more}`)).stdout).toBe('node-redis\n')
  })

  test('redis-benchmark --cluster', async () => {
    const command = `${engine.benchmark ?? 'redis-benchmark'} --cluster -p ${basePort} --user app -a "$PASSWORD" -t set,get -n 2000 -c 6 -q`
    const { stdout, stderr } = await shell(command, '', { PASSWORD: password })
    expect(stdout + stderr).toMatch(/Cluster has 3 (?:master|primary) nodes/)
    expect(stdout).toMatch(/SET: [\d.]+ requests per second/)
    expect(stdout).toMatch(/GET: [\d.]+ requests per second/)
    expect(stdout + stderr).not.toMatch(/error|NOPERM|WRONGPASS/i)
  })

  async function url(client: string): Promise<string> {
    return (await it.ok(['url', 'shop', '--as', client, '--show-secret'])).stdout.trim()
  }

  /** A shell of somebody who has the engine's command line on the PATH, by the name that everybody types. */
  async function shell(command: string, input = '', env: Readonly<Record<string, string>> = {}): Promise<Ended> {
    const path = `${join(it.path, 'typed')}:${process.env['PATH'] ?? ''}`
    return it.run(['-c', command], { command: '/bin/sh', input, env: { ...engine.env, ...env, PATH: path } })
  }

  /** The text as a module of its own, beside the packages that it imports. */
  async function script(text: string): Promise<Ended> {
    const cwd = fileURLToPath(new URL('../..', import.meta.url))
    const ended = await it.run(['--input-type=module', '-e', text], { command: 'node', cwd })
    expect(ended.code, ended.stderr).toBe(0)
    return ended
  }
})
