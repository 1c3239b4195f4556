/**
 * What Holdfast renders, on a real engine: it starts with it, has the settings that it was given, lets each user do
 * what it must and no more, and unmodified clients connect with what `holdfast url` prints.
 */
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { delimiter, join, resolve } from 'node:path'
import { promisify } from 'node:util'
import type { Client } from '@holdfast/core'
import { fixedDirectives, newSecrets, ownedDirectives, parseSpec, urlFor } from '@holdfast/core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { EngineBinary } from '../../packages/control/src/binary/find.ts'
import { findTestEngine } from '../support/engines.ts'
import { eventually } from '../support/eventually.ts'
import type { OneEngine } from '../support/one-engine.ts'
import { startOneEngine, startThreeEngines } from '../support/one-engine.ts'

const run = promisify(execFile)
const repository = resolve(import.meta.dirname, '../..')

// A password with everything in it that a file, a shell or a program could trip over.
let passwords = 0
const secrets = newSecrets(() => `p "q" \\ #${++passwords}$x'y%20`)

let binary: EngineBinary
let engine: OneEngine
beforeAll(async () => {
  binary = await findTestEngine()
  const config = {
    'proc-title-template': 'a "b" \\ # {title}',
    'oom-score-adj-values': '0 100 200',
    activedefrag: false,
  }
  engine = await startOneEngine({ binary, secrets, input: { config } })
})
afterAll(() => engine?.stop())

/** Whether a spec may name this directive in `config`. */
function isForSpecs(name: string): boolean {
  try {
    parseSpec({ name: 'shop', config: { [name]: 'x' } })
    return true
  } catch {
    return false
  }
}

/** DEBUG has a lock of its own, which is asked first. */
const denied = /NOPERM|no permissions|DEBUG command not allowed/

describe('the settings', () => {
  test('are taken without a warning about any of them', () => {
    const machine = /overcommit|Transparent Huge Pages|TCP backlog|somaxconn/i
    const warnings = engine.log().match(/^.*(?:warning|bad directive|unknown|deprecated|invalid).*$/gim) ?? []
    expect(warnings.filter((line) => !machine.test(line))).toEqual([])
  })

  test('of the spec are there word by word', async () => {
    expect(await engine.ask('admin', 'CONFIG', 'GET', 'proc-title-template')).toBe(
      JSON.stringify(['proc-title-template', 'a "b" \\ # {title}']),
    )
    expect(await engine.ask('admin', 'CONFIG', 'GET', 'oom-score-adj-values')).toContain('"0 100 200"')
    expect(await engine.ask('admin', 'CONFIG', 'GET', 'masterauth')).toBe(
      JSON.stringify(['masterauth', secrets.replication]),
    )
  })

  test('that a spec may set and that this engine only reads at its start are those of the list', async () => {
    const all = JSON.parse(await engine.ask('admin', 'CONFIG', 'GET', '*')) as string[]
    const fixed: string[] = []
    for (let index = 0; index < all.length; index += 2) {
      const [name, value] = [all[index] ?? '', all[index + 1] ?? '']
      if (!isForSpecs(name)) continue
      if (/immutable/i.test(await engine.ask('admin', 'CONFIG', 'SET', name, value))) fixed.push(name)
    }
    expect(fixed.filter((name) => !fixedDirectives.has(name))).toEqual([])
    expect(fixed).toContain('tcp-backlog')
  })

  test.each(['none', 'rdb', 'aof', 'hybrid'])(
    'that Holdfast owns show no drift, with persistence %s',
    async (persistence) => {
      const fresh = await startOneEngine({
        binary,
        secrets,
        slots: [],
        // With replicas an engine without files is held by its file, until Holdfast starts it.
        input: { persistence, replicasPerShard: 0, fullCoverage: 'yes', staleReads: 'no' },
      })
      try {
        const owned = ownedDirectives(fresh.spec, { engine: binary })
        for (const [directive, value] of Object.entries(owned)) {
          expect(await fresh.ask('admin', 'CONFIG', 'GET', directive)).toBe(JSON.stringify([directive, value]))
          // What was changed by hand is set back in the same words.
          expect(await fresh.ask('admin', 'CONFIG', 'SET', directive, value), directive).toBe('OK')
          expect(await fresh.ask('admin', 'CONFIG', 'GET', directive)).toBe(JSON.stringify([directive, value]))
        }
      } finally {
        await fresh.stop()
      }
    },
  )
})

describe('the users', () => {
  test.each([
    [['SET', 'a', '1'], 'OK'],
    [['GET', 'a'], '1'],
    [['INFO', 'server'], /redis_version/],
    [['ROLE'], /master/],
    [['SORT', 'list'], /^\[/],
    [['CLUSTER', 'NODES'], /myself,master/],
    [['CLUSTER', 'SLOTS'], /16383/],
    [['CLUSTER', 'MYID'], /^[0-9a-f]{40}$/],
    [['CLUSTER', 'INFO'], /cluster_state:ok/],
    [['CLUSTER', 'KEYSLOT', 'a'], '15495'],
    [['PUBLISH', 'channel', 'hello'], '0'],
    [['EVAL', 'return redis.call("GET", KEYS[1])', '1', 'a'], '1'],
    [['CLIENT', 'TRACKING', 'OFF'], 'OK'],
    [['CLIENT', 'SETNAME', 'shop'], 'OK'],
    [['WAIT', '0', '1'], '0'],
    [['SCAN', '0'], /^\[/],
    [['COMMAND', 'COUNT'], /^\d+$/],
  ])('the application may %s', async (command, expected) => {
    await engine.ask('app', 'SET', 'a', '1')
    expect(await engine.ask('app', ...command)).toMatch(expected)
  })

  test.each([
    ['FLUSHALL'],
    ['FLUSHDB'],
    ['KEYS', '*'],
    ['CONFIG', 'GET', 'masterauth'],
    ['CONFIG', 'SET', 'maxmemory', '1'],
    ['SHUTDOWN', 'NOSAVE'],
    ['CLUSTER', 'FAILOVER'],
    ['CLUSTER', 'RESET'],
    ['CLUSTER', 'FORGET', 'x'],
    ['CLUSTER', 'SETSLOT', '1', 'STABLE'],
    ['DEBUG', 'SLEEP', '0'],
    ['ACL', 'LIST'],
    ['ACL', 'SETUSER', 'app', '+@all'],
    ['REPLICAOF', 'NO', 'ONE'],
    ['MONITOR'],
    ['SAVE'],
    ['BGREWRITEAOF'],
    ['CLIENT', 'KILL', 'TYPE', 'normal'],
    ['CLIENT', 'PAUSE', '1'],
    ['MIGRATE', '127.0.0.1', '1', 'a', '0', '1'],
    ['MODULE', 'LIST'],
    ['PSYNC', '?', '-1'],
    ['SWAPDB', '0', '1'],
    ['SLOWLOG', 'RESET'],
  ])('the application may not %s %s', async (...command) => {
    expect(await engine.ask('app', ...command)).toMatch(denied)
  })

  test.each([
    [['PING'], 'PONG'],
    [['INFO', 'replication'], /role:master/],
    [['ROLE'], /master/],
    [['CLUSTER', 'NODES'], /myself/],
    [['CLUSTER', 'INFO'], /cluster_state/],
    [['CLUSTER', 'MYID'], /^[0-9a-f]{40}$/],
    [['CLUSTER', 'SLOTS'], /16383/],
    [['CLUSTER', 'COUNTKEYSINSLOT', '1'], '0'],
    [['CLIENT', 'SETNAME', 'probe'], 'OK'],
    [['CLIENT', 'ID'], /^\d+$/],
  ])('the probe may %s', async (command, expected) => {
    expect(await engine.ask('probe', ...command)).toMatch(expected)
  })

  test.each([
    ['GET', 'a'],
    ['SET', 'a', '2'],
    ['CONFIG', 'GET', 'masterauth'],
    ['CONFIG', 'SET', 'maxmemory', '1'],
    ['CLUSTER', 'FAILOVER'],
    ['CLUSTER', 'GETKEYSINSLOT', '1', '1'],
    ['ACL', 'LIST'],
    ['SUBSCRIBE', 'channel'],
    ['PUBLISH', 'channel', 'x'],
    ['EVAL', 'return 1', '0'],
    ['SCAN', '0'],
    ['REPLICAOF', 'NO', 'ONE'],
    ['SHUTDOWN', 'NOSAVE'],
  ])('the probe may not %s %s', async (...command) => {
    expect(await engine.ask('probe', ...command)).toMatch(denied)
  })

  test.each([['GET', 'a'], ['SET', 'a', '1'], ['INFO'], ['CONFIG', 'GET', 'dir'], ['CLUSTER', 'NODES']])(
    'the replication user may not %s %s',
    async (...command) => {
      expect(await engine.ask('replication', ...command)).toMatch(denied)
    },
  )

  test('who does not say who he is gets nothing', async () => {
    expect(await answerOf(engine, 'PING\r\n', /\r\n/)).toMatch(/^-NOAUTH/)
    expect(await engine.ask('default', 'PING')).toMatch(/WRONGPASS|NOAUTH/)
    expect(await engine.ask('nobody', 'PING')).toMatch(/WRONGPASS|NOAUTH/)
  })

  test('with legacyAuth the password alone is the application, and not more', async () => {
    const input = { security: { legacyAuth: 'yes' } }
    const legacy = await startOneEngine({ binary, secrets, input, slots: [] })
    try {
      const old = `*2\r\n${bulk('AUTH')}${bulk(secrets.app)}`
      expect(await answerOf(legacy, `${old}PING\r\nCONFIG GET dir\r\n`, /NOPERM/)).toMatch(/^\+OK\r\n\+PONG\r\n-NOPERM/)
      expect(await answerOf(legacy, 'PING\r\n', /\r\n/)).toMatch(/^-NOAUTH/)
    } finally {
      await legacy.stop()
    }
  })
})

describe('engines that were joined', () => {
  let joined: [OneEngine, OneEngine, OneEngine]
  const bin = mkdtempSync(join(tmpdir(), 'holdfast-bin-'))
  beforeAll(async () => {
    symlinkSync(binary.cli ?? '/nowhere', join(bin, 'redis-cli'))
    joined = await startThreeEngines({ binary, secrets })
  })
  afterAll(async () => {
    rmSync(bin, { recursive: true, force: true })
    await Promise.all(joined?.map((one) => one.stop()) ?? [])
  })

  const environment = () => ({ ...process.env, ...binary.env, PATH: `${bin}${delimiter}${process.env['PATH'] ?? ''}` })
  const told = (client: Client): string => {
    const nodes = joined.map(({ node }) => node)
    const where = { topology: 'cluster', nodes, sentinels: [], masterName: '' } as const
    return urlFor(client, { ...where, user: 'app', password: secrets.app }, { showSecret: true })
  }

  test('copy each other, signed in as the replication user', async () => {
    await joined[0].ask('app', 'SET', 'b', 'copied')
    await eventually(async () => (await joined[2].ask('app', 'DBSIZE')) === '1')
    expect(await joined[0].ask('admin', 'CLIENT', 'LIST', 'TYPE', 'replica')).toContain('user=replication')
  })

  test('ioredis connects with the lines that it is told', async () => {
    const { stdout } = await runNode(`${told('ioredis')}
      await redis.set('from', 'ioredis')
      console.log(await redis.get('from'))
      redis.disconnect()`)
    expect(stdout.trim()).toBe('ioredis')
  })

  test('node-redis connects with the lines that it is told', async () => {
    const { stdout } = await runNode(`${told('node-redis')}
      await cluster.set('from', 'node-redis')
      console.log(await cluster.get('from'))
      await cluster.close()`)
    expect(stdout.trim()).toBe('node-redis')
  })

  test('a client of one node connects with the URL that it is told', async () => {
    const { stdout } = await runNode(`
      import { createClient } from 'redis'
      const client = await createClient({ url: ${JSON.stringify(told('redis'))} }).connect()
      console.log(await client.ping())
      client.destroy()`)
    expect(stdout.trim()).toBe('PONG')
  })

  test('redis-cli connects with the command that it is told', async () => {
    const { stdout } = await run('sh', ['-c', `${told('redis-cli')} SET from redis-cli`], { env: environment() })
    expect(stdout.trim()).toBe('OK')
  })

  test('redis-cli connects with AUTH and CLUSTER NODES typed by hand', async () => {
    const typed = spawn(join(bin, 'redis-cli'), ['-p', String(joined[0].node.port)], {
      env: environment(),
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    let said = ''
    typed.stdout.on('data', (chunk: Buffer) => {
      said += chunk.toString()
    })
    typed.stdin.end(`CLUSTER NODES\nAUTH app ${JSON.stringify(secrets.app)}\nCLUSTER NODES\n`)
    await once(typed, 'close')
    expect(said).toMatch(/^NOAUTH[^\n]*\n+OK\n[0-9a-f]{40} [^]*myself,master/)
  })

  test('redis-benchmark measures a cluster as the application', async () => {
    const benchmark = binary.benchmark
    if (benchmark === null) throw new Error(`there is no benchmark beside ${binary.server}`)
    const options = ['--cluster', '-h', joined[0].node.address, '-p', String(joined[0].node.port), '-n', '2000', '-q']
    const { stdout } = await run(benchmark, [...options, '-t', 'set,get', '--user', 'app', '-a', secrets.app], {
      env: environment(),
      timeout: 20_000,
    })
    expect(stdout).toMatch(/Cluster has 2 (?:master|primary) nodes/)
    expect(stdout).toMatch(/SET: [\d.]+ requests per second/)
    expect(stdout).toMatch(/GET: [\d.]+ requests per second/)
  })
})

const bulk = (text: string): string => `$${Buffer.byteLength(text)}\r\n${text}\r\n`

const runNode = (program: string) =>
  run(process.execPath, ['--input-type=module', '-e', program], { cwd: repository, timeout: 20_000 })

/** Says something without any client in between, and answers what came back once it looks like `until`. */
async function answerOf(to: OneEngine, text: string, until: RegExp): Promise<string> {
  const socket = connect(to.node.port, to.node.address)
  socket.setTimeout(5000, () => socket.destroy(new Error(`no answer like ${until}`)))
  try {
    socket.write(text)
    let said = ''
    for await (const chunk of socket) {
      said += String(chunk)
      if (until.test(said)) return said
    }
    return said
  } finally {
    socket.destroy()
  }
}
