import { chmodSync, chownSync, mkdirSync, writeFileSync } from 'node:fs'
import type { Server } from 'node:net'
import { createServer } from 'node:net'
import { join } from 'node:path'
import type { ErrorCode, SpecText, Status } from '@holdfast/core'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { enginesHome, freePorts } from '../support/engines.ts'
import { eventually } from '../support/eventually.ts'
import { mainPath, Program } from '../support/program.ts'

const isRoot = process.getuid?.() === 0

/* A deployment runs beside every mistake here, and after each it is as it was: the same processes, ready, unchanged. */
describe('beside a deployment that runs', () => {
  let it: Program
  let shop: SpecText
  let basePort: number
  let engines: Readonly<Record<string, number>>

  beforeAll(async () => {
    it = new Program()
    basePort = await freePorts(6)
    shop = { name: 'shop', memory: { maxPerNode: '64mb' }, expose: { basePort } }
    await it.ok(['up', it.file('shop.yaml', shop), '--detach'])
    engines = it.engines('shop')
  })

  afterAll(async () => {
    await it?.close()
  })

  afterEach(async () => {
    expect(Object.keys(engines)).toHaveLength(6)
    expect(it.engines('shop')).toEqual(engines)
    const { deployments } = await it.ask<{ deployments: Status[] }>('/deployments')
    expect(deployments.map(({ name, ready, specRevision }) => ({ name, ready, specRevision }))).toEqual([
      { name: 'shop', ready: 'yes', specRevision: 1 },
    ])
  })

  // Each is a process of its own that ends at once: several at a time, or they take minutes.
  test.concurrent.each<[what: string, fields: SpecText, code: ErrorCode, said: string]>([
    ['an unknown key', { colour: 'red' }, 'SPEC_INVALID', 'colour: unknown key; see docs/spec.md for all keys'],
    ['a misspelt key', { shard: 6 }, 'SPEC_INVALID', 'shard: unknown key; did you mean "shards"?'],
    ['a misspelt key inside', { memory: { maxPerNod: '1gb' } }, 'SPEC_INVALID', 'memory.maxPerNod: unknown key'],
    [
      'a wrong unit',
      { timeouts: { node: '5 minutes' } },
      'SPEC_INVALID',
      'timeouts.node: "5 minutes" is not a duration: write 500ms, 5s, 2m, 24h or 7d',
    ],
    ['a number without a unit', { timeouts: { node: 5 } }, 'SPEC_INVALID', 'timeouts.node: '],
    ['no shards', { shards: 0 }, 'SPEC_INVALID', 'shards: '],
    ['too few shards to vote', { shards: 2 }, 'SPEC_INVALID', 'shards: a cluster needs at least 3 shards'],
    ['a directive of ours', { config: { port: 1 } }, 'SPEC_INVALID', 'config.port: decided by Holdfast'],
    ['a name that is a path', { name: '../shop' }, 'SPEC_INVALID', 'name: use 1 to 40 of a-z, 0-9 and -'],
    [
      'two Sentinels',
      { topology: 'sentinel', sentinel: { count: 2 } },
      'SPEC_INVALID',
      'sentinel.count: an odd number from 3 on',
    ],
    ['backup', { backup: { every: '1s' } }, 'SPEC_INVALID', 'backup.every: at least 1m'],
    ['other hosts', { hosts: [{ name: 'a', address: '10.0.0.1' }] }, 'NOT_FOUND', 'hosts: a has not joined, none has'],
    ['everywhere', { expose: { bind: '0.0.0.0' } }, 'SPEC_INVALID', 'expose.bind: what clients and copies are told'],
    ['what cannot be changed', { name: 'shop', shards: 4 }, 'SPEC_IMMUTABLE', 'shards of shop cannot be changed'],
  ])('%s', async (what, fields, code, said) => {
    const file = it.file(`${what}.yaml`, { name: 'wrong', ...(fields['name'] === 'shop' ? shop : {}), ...fields })
    const sentence = await it.refused(code, ['up', file])
    // What the file itself says wrong names the file; what it wants of this home does not.
    const isOfFile = code === 'SPEC_INVALID' || code === 'SPEC_UNSUPPORTED'
    expect(sentence).toContain(isOfFile ? `${file}: ${said}` : said)
  })

  test('all that is not supported yet is refused at once, and none of it ignored', async () => {
    const later = {
      sentinel: {},
      alerts: {},
      notify: ['somebody'],
    }
    const sentence = await it.refused('SPEC_UNSUPPORTED', ['plan', it.file('later.yaml', { name: 'later', ...later })])
    expect(sentence.split('\n')).toHaveLength(3)
    for (const line of sentence.split('\n')) expect(line).toMatch(/^\S+later\.yaml: .+: not supported yet: remove it$/)
  })

  test.concurrent.each<[what: string, text: string, said: string]>([
    ['a YAML bomb', bomb(), 'an alias: write out what it stands for'],
    ['nesting without end', `name: ${'['.repeat(100_000)}`, 'nested more than 20 deep'],
    ['__proto__', 'name: wrong\n__proto__: { shards: 9 }\n', ':2:1: "__proto__" cannot be a key'],
    ['a constructor', 'name: wrong\nmemory:\n  constructor: 1\n', ':3:3: "constructor" cannot be a key'],
    ['a key twice', 'name: wrong\nshards: 3\nshards: 6\n', ':3:1: this key is there twice'],
    ['two documents', 'name: wrong\n---\nname: other\n', 'a second document begins here: one file, one spec'],
    ['no YAML', 'name: [wrong\n}{', 'no YAML.yaml:'],
    ['a text', 'bring up my cache, please\n', 'a spec is a list of "key: value" lines'],
    ['an empty file', '', 'a spec is a list of "key: value" lines'],
  ])('%s', async (what, text, said) => {
    const file = it.file(`${what}.yaml`, text)
    const sentence = await it.refused('SPEC_UNREADABLE', ['up', file])
    expect(sentence).toMatch(new RegExp(`^${file}:\\d+:\\d+: `))
    expect(sentence).toContain(said)
  })

  test('a file that is not there, or is none', async () => {
    expect(await it.refused('SPEC_UNREADABLE', ['apply', '/nowhere/shop.yaml'])).toContain('there is no such file')
    expect(await it.refused('SPEC_UNREADABLE', ['plan', it.path])).toContain('this is a directory: name a YAML file')
  })

  test('the ports of another deployment, and a port that somebody else has', async () => {
    const overlapping = it.file('other.yaml', { name: 'other', expose: { basePort: basePort + 5 } })
    expect(await it.refused('HOST_PORT_IN_USE', ['up', overlapping])).toContain(
      `port ${basePort + 5} belongs to shop: choose another expose.basePort for other`,
    )
    const free = await freePorts(6)
    const squatter = await listenOn(free + 2 + 10_000)
    try {
      const other = it.file('other.yaml', { name: 'other', expose: { basePort: free } })
      expect(await it.refused('HOST_PORT_IN_USE', ['up', other])).toMatch(
        new RegExp(
          `^port ${free + 10_002} of 127\\.0\\.0\\.1 is in use, node-3 cannot start: end what listens there`,
          'm',
        ),
      )
    } finally {
      await closed(squatter)
    }
  })

  test('a second controller', async () => {
    const first = it.controller()
    const sentence = await it.refused('HOST_HOME_IN_USE', ['serve'])
    expect(sentence).toContain(`a controller (pid ${first?.pid}, ${first?.url}) keeps ${it.path} already`)
    expect(it.controller()).toEqual(first)
  })

  test('an engine that refuses its configuration is given up early, in its own words, and can be removed', async () => {
    const bad = it.file('bad.yaml', {
      name: 'bad',
      expose: { basePort: await freePorts(6) },
      config: { 'maxmemory-clients': 'nonsense' },
    })
    const startedAt = performance.now()
    const sentence = await it.refused('ENGINE_START_FAILED', ['up', bad])
    expect(performance.now() - startedAt).toBeLessThan(20_000)
    expect(sentence).toMatch(
      /node-\d of bad failed to start \d times\. It said: .*'maxmemory-clients nonsense' argument must be/,
    )
    expect(sentence).toContain('correct the spec, remove this attempt with "holdfast down bad --purge"')
    await it.ok(['down', 'bad', '--purge', '--yes'])
    expect(it.engines('bad')).toEqual({})
  })

  test('a command line that is wrong', async () => {
    const cases: [args: string[], said: string][] = [
      [['stats'], '(Did you mean status?)'],
      [['up', '--detatch'], '(Did you mean --detach?)'],
      [['plan'], "missing required argument 'spec'"],
      [['status', '--', 'shop'], 'nothing may follow "--" here: shop'],
    ]
    const check = async ([args, said]: [args: string[], said: string]): Promise<void> => {
      const { code, stdout, stderr } = await it.run(args)
      expect({ code, stdout }, args.join(' ')).toEqual({ code: 2, stdout: '' })
      expect(stderr).toContain(said)
      expect(stderr).toContain('"holdfast --help" lists all commands')
    }
    await Promise.all(cases.map(check))
    const [limit, port, client, name] = await Promise.all([
      it.refused('USAGE', ['events', '-n', 'many']),
      it.refused('USAGE', ['serve', '--port', '70000']),
      it.refused('USAGE', ['url', '--as', 'memcached']),
      it.refused('NOT_FOUND', ['down', '../shop', '--yes']),
    ])
    expect(limit).toBe('--limit many: a number of events from 1 to 1000')
    expect(port).toContain('a port is a number from 1 to 65535')
    expect(client).toContain('--as is one of holdfast, redis, ioredis')
    expect(name).toBe('there is no deployment "../shop", only shop')
  })

  test('a program that asks for JSON gets its refusal as JSON', async () => {
    const { code, stdout, stderr } = await it.run(['status', 'nobody', '--json'])
    const message = 'there is no deployment "nobody", only shop'
    expect(JSON.parse(stdout)).toEqual({
      error: { code: 'NOT_FOUND', message, facts: { name: 'nobody', names: ['shop'] } },
    })
    expect(stderr).toBe(`${message}\n(NOT_FOUND)\n`)
    expect(code).toBe(2)
    expect(JSON.parse((await it.run(['events', '--josn', '--json'])).stdout)).toMatchObject({
      error: { code: 'USAGE' },
    })
  })
})

describe('without any deployment', () => {
  const programs: Program[] = []

  afterEach(async () => {
    for (const program of programs.splice(0)) await program.close()
  })

  function fresh(options?: { engines?: boolean }): Program {
    const program = new Program(options)
    programs.push(program)
    return program
  }

  test('nothing asked for: the help, the version', async () => {
    const it = fresh()
    const { code, stderr } = await it.run([])
    expect(code).toBe(2)
    expect(stderr).toContain('holdfast up shop.yaml -d')
    expect((await it.ok(['--version'])).stdout).toMatch(/^\d+\.\d+\.\d+\n$/)
    expect((await it.ok(['help', 'up'])).stdout).toContain('a second Ctrl-C leaves the engines running')
    expect(await it.refused('NOT_FOUND', ['status'])).toBe('there is no deployment yet: "holdfast up" makes one')
  })

  test('a port in use: nothing is created, and no controller is left behind', async () => {
    const it = fresh()
    const basePort = await freePorts(6)
    const squatter = await listenOn(basePort + 1)
    try {
      const spec = it.file('shop.yaml', { name: 'shop', expose: { basePort } })
      for (const args of [
        ['up', spec, '--detach'],
        ['up', spec],
      ]) {
        const sentence = await it.refused('HOST_PORT_IN_USE', args)
        expect(sentence).toContain(`port ${basePort + 1} of 127.0.0.1 is in use, node-2 cannot start`)
        expect(it.processes()).toEqual([])
      }
    } finally {
      await closed(squatter)
    }
    await it.refused('NOT_FOUND', ['status', 'shop'])
  })

  test("the panel's port in use: said as that, and the password of the first start is not lost", async () => {
    const it = fresh()
    const port = await freePorts(1)
    const squatter = await listenOn(port)
    try {
      const sentence = await it.refused('HOST_PORT_IN_USE', ['up', '--detach', '--port', String(port)])
      expect(sentence).toMatch(/^panel sign-in: admin \/ \S+ \(shown once/m)
      expect(sentence).toContain(`port ${port} of 127.0.0.1 is in use, the panel cannot listen there`)
      expect(it.processes()).toEqual([])
    } finally {
      await closed(squatter)
    }
  })

  test('no engine to be had', async () => {
    const it = fresh()
    const env = { PATH: '/nonexistent' }
    const missing = it.file('path.yaml', { name: 'shop', engine: { path: '/nowhere/valkey-server' } })
    expect(await it.refused('ENGINE_MISSING', ['up', missing], { env })).toMatch(
      /^engine\.path: \/nowhere\/valkey-server .*Correct engine in the spec/m,
    )
    const never = it.file('flavor.yaml', { name: 'shop', engine: { version: '6.9' } })
    const sentence = await it.refused('ENGINE_MISSING', ['up', never, '--detach'], { env })
    expect(sentence).toContain('on the PATH, and without apt-get Holdfast cannot fetch one')
    expect(sentence).toContain('or name a server with engine.path in the spec')
    expect(it.processes()).toEqual([])
  })

  test('an engine too old', async () => {
    const it = fresh()
    const old = it.file(
      'redis-server',
      '#!/bin/sh\necho "Redis server v=5.0.7 sha=00000000:0 malloc=libc bits=64 build=0"\n',
    )
    chmodSync(old, 0o755)
    const spec = it.file('old.yaml', { name: 'shop', engine: { path: old } })
    const sentence = await it.refused('ENGINE_TOO_OLD', ['up', spec])
    expect(sentence).toContain(`engine.path: ${old} is redis 5.0.7, which is too old`)
    expect(sentence).toContain('or leave engine.path out to have an engine found')
  })

  test('a home of another user, of a newer version, of something else, or damaged', async () => {
    const foreign = fresh({ engines: false })
    if (isRoot) {
      mkdirSync(foreign.path)
      chownSync(foreign.path, 65_534, 65_534)
    }
    const env = isRoot ? {} : { HOLDFAST_HOME: '/usr' }
    expect(await foreign.refused('HOST_HOME_FOREIGN', ['status'], { env })).toMatch(
      /belongs to user \d+, and this is user \d+\. Run as that user, or name another HOLDFAST_HOME\.$/,
    )

    const newer = fresh()
    writeFileSync(join(newer.path, 'version'), '2\n')
    expect(await newer.refused('HOST_HOME_NEWER', ['up'])).toContain(
      'was written by a newer Holdfast (layout "2", this one knows 1)',
    )

    const other = fresh()
    writeFileSync(join(other.path, 'thesis.txt'), 'do not touch')
    expect(await other.refused('USAGE', ['up'])).toContain(
      'is not a home of Holdfast, and not empty: there is "thesis.txt"',
    )

    const damaged = fresh()
    await damaged.refused('NOT_FOUND', ['status'])
    writeFileSync(join(damaged.path, 'state.db'), 'x'.repeat(8192))
    expect(await damaged.refused('REFUSED_UNSAFE', ['up'])).toContain('state.db: this file is damaged. Put back a copy')
  })

  test('a full disk, and one that is read-only', async () => {
    const it = fresh({ engines: false })
    const full = `mkdir "$HOLDFAST_HOME" && mount -t tmpfs -o size=256k none "$HOLDFAST_HOME"
      mkdir "$HOLDFAST_HOME/engines"; dd if=/dev/zero of="$HOLDFAST_HOME/controller.log" bs=4k 2>/dev/null
      exec "$NODE" "$MAIN" up`
    expect(await refusedWithMounts(it, 'HOST_DISK_FULL', full)).toBe(
      `${it.path}: the disk is full. Free some space and try again: what was saved before is intact.`,
    )
    const readOnly = `mount -t tmpfs none "$HOLDFAST_HOME" && mount -o remount,ro "$HOLDFAST_HOME"
      exec "$NODE" "$MAIN" up --detach`
    expect(await refusedWithMounts(it, 'HOST_READ_ONLY', readOnly)).toBe(
      `${it.path}: the file system is read-only. Mount it writable, or name another HOLDFAST_HOME.`,
    )
  })

  test('a disk that fills up under a deployment: it runs on, questions are answered, a change is refused', async () => {
    const it = fresh({ engines: false })
    const expose = { basePort: await freePorts(6) }
    const spec = it.file('shop.yaml', { name: 'shop', expose })
    // Larger than the room that the files of the store have in them already.
    const larger = it.file('larger.yaml', { name: 'shop', expose, region: 'r'.repeat(200_000) })
    const script = `mkdir "$HOLDFAST_HOME" && mount -t tmpfs -o size=64m none "$HOLDFAST_HOME"
      ln -s "$ENGINES" "$HOLDFAST_HOME/engines"
      holdfast() { "$NODE" "$MAIN" "$@"; code=$?; test $code = 0 || echo "exit $code"; }
      holdfast up ${spec} --detach >/dev/null 2>&1
      echo ==; holdfast status --json
      dd if=/dev/zero of="$HOLDFAST_HOME/ballast" bs=64k 2>/dev/null
      echo ==; holdfast apply ${larger} --yes 2>&1
      echo ==; holdfast status --json
      rm "$HOLDFAST_HOME/ballast"
      echo ==; holdfast apply ${larger} --yes --wait 2>/dev/null
      holdfast status --json`
    const { stdout, stderr } = await withMounts(it, script)
    const [, before, refusal, during, after] = stdout.split('==\n')
    expect(refusal, stderr).toMatch(/\/state\.db: the disk is full\. .*\n\(HOST_DISK_FULL\)\nexit 7\n$/s)
    const [one, two, three] = [before, during, after].map((text) => JSON.parse(text ?? '') as Status)
    expect([one?.ready, two?.ready, three?.ready]).toEqual(['yes', 'yes', 'yes'])
    expect([one?.specRevision, two?.specRevision, three?.specRevision]).toEqual([1, 1, 2])
    expect(pidsOf(two)).toEqual(pidsOf(one))
    expect(pidsOf(three)).toEqual(pidsOf(one))
  })

  /** A shell that may mount what nobody else sees, and that is gone with it. */
  async function withMounts(it: Program, script: string) {
    const env = { NODE: process.execPath, MAIN: mainPath, ENGINES: join(enginesHome, 'engines') }
    return it.run([isRoot ? '-m' : '-Urm', '/bin/sh', '-c', script], { command: 'unshare', env })
  }

  async function refusedWithMounts(it: Program, code: ErrorCode, script: string): Promise<string> {
    const { code: exit, stdout, stderr } = await withMounts(it, script)
    expect({ exit, stdout }, stderr).toEqual({ exit: 7, stdout: '' })
    expect(stderr).toContain(`\n(${code})\n`)
    return stderr.slice(0, stderr.lastIndexOf(`\n(${code})`))
  }
})

const pidsOf = (status: Status | undefined) => status?.nodes.map(({ id, pid }) => [id, pid])

/** Nine lines that stand for a billion values. */
function bomb(): string {
  const lines = ['a: &a [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]']
  for (const [before, letter] of ['ab', 'bc', 'cd', 'de', 'ef', 'fg', 'gh', 'hi']) {
    lines.push(`${letter}: &${letter} [${`*${before}, `.repeat(9)}*${before}]`)
  }
  return `name: wrong\n${lines.join('\n')}\n`
}

function listenOn(port: number): Promise<Server> {
  return eventually(
    () =>
      new Promise<Server>((resolve, reject) => {
        const server = createServer()
        server.once('error', reject)
        server.listen(port, '127.0.0.1', () => resolve(server))
      }),
  )
}

const closed = (server: Server): Promise<void> => new Promise((resolve) => void server.close(() => resolve()))
