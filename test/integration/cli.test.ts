import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { AutoscaleAnswer, Ledger, Status } from '@holdfast/core'
import { clients } from '@holdfast/core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { secretsOf } from '../support/deployment.ts'
import { freePorts } from '../support/engines.ts'
import { eventually } from '../support/eventually.ts'
import type { Ended } from '../support/program.ts'
import { mainPath, Program } from '../support/program.ts'

const sixNodes = ['node-1', 'node-2', 'node-3', 'node-4', 'node-5', 'node-6']
const passwordPattern = /admin \/ ((?:[a-z0-9]{4}-){6}[a-z0-9]{4})/

/* One deployment for all: the tests follow it through a day with the command line, from `up --detach` to `--purge`. */
describe('the command line', () => {
  let it: Program
  let spec: string
  let basePort: number
  let first: Ended

  beforeAll(async () => {
    it = new Program()
    basePort = await freePorts(6)
    spec = it.file('shop.yaml', { name: 'shop', memory: { maxPerNode: '64mb' }, expose: { basePort } })
    first = await it.run(['up', spec, '--detach'])
  })

  afterAll(async () => {
    await it?.close()
  })

  test('up --detach says all that a person needs, and the controller stays', async () => {
    expect(first.code, first.stderr).toBe(0)
    expect(first.stderr).toMatch(/^engine: (redis|valkey) \d+\.\d+\.\d+, .*: \/.*-server$/m)
    const said = first.stdout
    expect(said).toMatch(/^shop is ready after [\d.]+ m?s: 3 shards, 6 of 6 nodes in sync$/m)
    expect(said).toMatch(/^ {2}panel {4}http:\/\/127\.0\.0\.1:\d+$/m)
    expect(said).toMatch(passwordPattern)
    expect(said).toContain(`  connect  holdfast+cluster://app:****@127.0.0.1:${basePort},`)
    expect(said).toContain('One machine protects from the death of a process, not from the death of the machine.')
    expect(said).toContain('  holdfast status shop\n')
    expect(said).toContain('  holdfast cli shop -- set greeting hello\n')
    expect(said).toMatch(/^ {2}kill -9 \d+ .*holdfast events shop$/m)
    const controller = it.controller()
    expect(said).toContain(controller?.url)
    expect((await it.status('shop')).controller).toMatchObject({ id: controller?.id, lease: 'held' })
    expect(Object.keys(it.engines('shop'))).toEqual(sixNodes)
  })

  test('a second up changes nothing and shows no password', async () => {
    const [engines, controller] = [it.engines('shop'), it.controller()?.pid]
    const { stdout } = await it.ok(['up', spec, '--detach'])
    expect(stdout).toContain('shop is ready')
    expect(stdout).not.toMatch(passwordPattern)
    expect(stdout).toContain('with the password of the first start')
    // In the foreground, too, it returns where a controller runs already, and leaves that one alone.
    expect((await it.ok(['up', 'shop'])).stdout).toContain('shop is ready')
    expect(it.engines('shop')).toEqual(engines)
    expect(it.controller()?.pid).toBe(controller)
    expect((await it.status('shop')).specRevision).toBe(1)
  })

  test('status shows every node, and has the fields of the contract for programs', async () => {
    const { stdout } = await it.ok(['status'])
    expect(stdout).toMatch(/^shop {3}ready: yes {3}3 shards, 6 of 6 nodes in sync$/m)
    for (const node of sixNodes) expect(stdout).toMatch(new RegExp(`^shard-\\d +${node} +(primary|replica) +ok `, 'm'))
    const status = await it.status('shop')
    expect(Object.keys(status).sort()).toEqual(statusFields)
    expect(status).toMatchObject({ apiVersion: 1, name: 'shop', topology: 'cluster', ready: 'yes', sentinels: [] })
    expect(status.shards.map((shard) => Object.keys(shard).sort())).toEqual(
      ['', '', ''].map(() => ['id', 'primary', 'replicas', 'slots']),
    )
    for (const node of status.nodes) expect(Object.keys(node).sort()).toEqual(nodeFields)
    expect(Object.fromEntries(status.nodes.map(({ id, pid }) => [id, pid]))).toEqual(it.engines('shop'))
  })

  test('autoscale says what would be done about its size, and what was measured for it', async () => {
    expect((await it.ok(['autoscale', 'shop'])).stdout).toMatch(
      /^shop {3}undecided: of the last 5 min there are \d+ of 30/,
    )
    const cpu = { cpu: expect.any(Number), evicted: 0, hits: expect.any(Number), memoryMaxBytes: expect.any(Number) }
    await eventually(async () => {
      const { stdout } = await it.ok(['autoscale', 'shop', '--json'])
      const { samples, autoscale } = JSON.parse(stdout) as AutoscaleAnswer
      expect(autoscale).toBe('off')
      expect(samples.at(-1)?.shards).toMatchObject([cpu, cpu, cpu])
    })
  })

  test('autoscale simulate plays a trace, and says what is wrong with one', async () => {
    const lines = Array.from({ length: 120 }, (_, index) => `${index * 10_000},3,85%,20%`)
    const trace = it.file('day.csv', ['at,shards,cpu,memory', ...lines].join('\n'))
    const { stdout } = await it.ok(['autoscale', 'simulate', '--trace', trace])
    expect(stdout).toMatch(/ out {2}cpu: CPU above 70% for 5 min .*one pair more, 3 to 4 shards$/m)
    const broken = it.file('broken.csv', 'at,shards,cpu,memory\n0,3,85,20%\n')
    expect(await it.refused('TRACE_UNREADABLE', ['autoscale', 'simulate', '--trace', broken])).toContain(
      `${broken}:2: cpu: "85" is not a share`,
    )
  })

  test('plan --rebalance says what would move and why, and moves nothing', async () => {
    const { shards } = await it.status('shop')
    expect((await it.ok(['plan', 'shop', '--rebalance'])).stdout).toBe(
      'nothing to move: every shard has its share of the slots\n',
    )
    const { stdout } = await it.ok(['plan', 'shop', '--rebalance', '--by', 'bytes', '--weight', 'shard-2=0'])
    expect(stdout).toMatch(
      /^\d moves of 5462 slots with [\d.]+ K?B, about [\d.]+ m?s\n\nfrom +to +slots +bytes +expected +why$/m,
    )
    expect(stdout).toMatch(/^shard-2 +shard-1 +\d+ .* shard-2 has .*B and shall have none; shard-1 has /m)
    expect(stdout).toContain('only shard-1 and shard-3 would have slots')
    const { moves } = JSON.parse(
      (await it.ok(['plan', 'shop', '--rebalance', '--weight', 'shard-1=0.5', '--json'])).stdout,
    )
    expect(moves[0]).toMatchObject({ from: 'shard-1', because: expect.stringContaining('shard-1 has 5461 slots') })
    expect((await it.status('shop')).shards).toEqual(shards)
  })

  test('events tell what happened and why, also to a reader that leaves early', async () => {
    const { stdout: told } = await it.ok(['events', 'shop'])
    expect(told).toMatch(/^\d{4}-\d\d-\d\dT[\d:.]+Z {2}ready +shop +ready: yes, was no/m)
    expect((await it.ok(['events', '--limit', '3'])).stdout.trim().split('\n')).toHaveLength(3)
    const [created] = await it.events('shop')
    expect(created).toMatchObject({ kind: 'spec', deployment: 'shop', because: 'shop created: 3 shards on 6 nodes' })
    expect(Object.keys(created ?? {}).sort()).toEqual(
      ['actor', 'at', 'because', 'cause', 'deployment', 'epoch', 'kind', 'seq', 'subject'].sort(),
    )
    const script = `"${process.execPath}" "$MAIN" events shop -n 1000 --json; echo $? >&2`
    const { stdout, stderr } = await it.run(['-c', `(${script}) | true`], {
      command: '/bin/sh',
      env: { MAIN: mainPath },
    })
    expect(stdout).toBe('')
    expect(stderr).toBe('0\n')
  })

  test('incidents tell how available it was to a client, by shard', async () => {
    const sentence = /^shop {3}[\d.]+ % in [\d.]+ (ms|s|min)(; |$)/m
    await eventually(async () => expect((await it.ok(['incidents'])).stdout).toMatch(sentence))
    const { stdout } = await it.ok(['incidents', 'shop', '--since', '1h'])
    expect(stdout).toMatch(/^shard-3 +[\d.]+ % /m)
    const ledger = JSON.parse((await it.ok(['incidents', 'shop', '--json'])).stdout) as Ledger
    expect(Object.keys(ledger.shards)).toEqual(['shard-1', 'shard-2', 'shard-3'])
    expect(await it.refused('USAGE', ['incidents', 'shop', '--since', 'yesterday'])).toBe(
      '--since yesterday: how far to look back, such as 24h or 30d',
    )
    await it.refused('NOT_FOUND', ['incidents', 'nobody'])
  })

  test('plan changes nothing, and shows the config of every node without a secret', async () => {
    expect((await it.ok(['plan', spec])).stdout).toBe('as specified: nothing would change\n')
    const bigger = it.file('bigger.yaml', { name: 'shop', memory: { maxPerNode: '96mb' }, expose: { basePort } })
    const { stdout } = await it.ok(['plan', bigger, '--config'])
    expect(stdout).toContain('1 field would change, live and without a restart')
    expect(stdout).toContain('  memory.maxPerNode: 64 MB → 96 MB, live')
    expect(stdout.match(/^## node-\d$/gm)).toEqual(sixNodes.map((node) => `## ${node}`))
    expect(stdout.match(/^maxmemory 100663296$/gm)).toHaveLength(6)
    expect(stdout.match(/^masterauth \*\*\*\*$/gm)).toHaveLength(6)
    for (const secret of Object.values(secretsOf(it.home, 'shop'))) expect(stdout).not.toContain(secret)
    expect((await it.status('shop')).specRevision).toBe(1)
  })

  test('apply asks, changes every node live, and does nothing the second time', async () => {
    const engines = it.engines('shop')
    const bigger = it.file('bigger.yaml', { name: 'shop', memory: { maxPerNode: '96mb' }, expose: { basePort } })
    const refusal = await it.refused('REFUSED_NOT_CONFIRMED', ['apply', bigger])
    expect(refusal).toContain('Apply this to shop? Nobody is here to ask: say --yes. Nothing was changed.')
    expect((await it.status('shop')).specRevision).toBe(1)

    expect((await it.ok(['apply', bigger, '--yes', '--wait'])).stderr).toContain('shop: revision 2 saved')
    const status = await it.status('shop')
    expect(status).toMatchObject({ specRevision: 2, settledRevision: 2, ready: 'yes' })
    expect(status.nodes.map(({ memoryMaxBytes }) => memoryMaxBytes)).toEqual(sixNodes.map(() => 96 * 1024 ** 2))
    expect(it.engines('shop')).toEqual(engines)

    const before = await specEvents()
    expect((await it.ok(['apply', bigger, '--yes', '--wait'])).stderr).toContain('nothing would change')
    expect((await it.status('shop')).specRevision).toBe(2)
    expect(await specEvents()).toEqual(before)
  })

  test.each(clients)('url --as %s shows the password only when asked', async (client) => {
    const password = secretsOf(it.home, 'shop')['app'] ?? ''
    const [masked, shown] = await Promise.all([
      it.ok(['url', 'shop', '--as', client]),
      it.ok(['url', '--as', client, '--show-secret']),
    ])
    expect(masked.stdout).toContain('****')
    expect(masked.stdout).not.toContain(password)
    expect(shown.stdout).toContain(password)
    expect(shown.stdout.replace(password, '****')).toBe(masked.stdout.replace("'****'", '****'))
  })

  test('cli runs a command, takes what is piped in, and passes the exit code through', async () => {
    expect((await it.ok(['cli', 'shop', '--', 'set', 'a', '1'])).stdout).toBe('OK\n')
    expect((await it.ok(['cli', '--', 'get', 'a'])).stdout).toBe('1\n')
    expect((await it.ok(['cli', 'shop'], { input: 'get a\n' })).stdout).toContain('1\n')
    expect((await it.run(['cli', 'shop', '--', '-e', 'no-such-command'])).code).toBe(1)
    expect((await it.run(['cli', 'shop', '--', '--no-such-option'])).code).not.toBe(0)
  })

  test('no password is in a process list, a log, an event, the status, the history or an engine log', async () => {
    const canaries = Object.values(secretsOf(it.home, 'shop'))
    const { stdout: url } = await it.ok(['url', 'shop', '--as', 'redis', '--show-secret'])
    canaries.push(/:([^:@]+)@/.exec(url)?.[1] ?? '', passwordPattern.exec(first.stdout)?.[1] ?? '')
    canaries.push(it.controller()?.token ?? '')
    expect(canaries.every((canary) => canary.length >= 20)).toBe(true)

    const session = it.start(['cli', 'shop'])
    try {
      await eventually(() => it.processes().some((pid) => cmdlineOf(pid).includes('--no-auth-warning')))
      expect(it.processes().length).toBeGreaterThanOrEqual(9)
      expectNone(canaries, it.processes().map(cmdlineOf).join('\n'), 'the process list')
    } finally {
      session.type('')
      await session.ended
    }
    const asked = [['events', '-n', '1000', '--json'], ['status', '--json'], ['status'], ['plan', spec, '--config']]
    for (const [at, { stdout, stderr }] of (await Promise.all(asked.map((args) => it.ok(args)))).entries()) {
      expectNone(canaries, stdout + stderr, asked[at]?.join(' ') ?? '')
    }
    const logs = sixNodes.map((node) => join(it.home.node('shop', node), 'engine.log'))
    const beside = readdirSync(it.path).filter((file) => /\.(log|err|db|db-wal|db-shm)$/.test(file))
    expect(beside).toContain('history.db')
    for (const file of [...logs, ...beside.map((name) => join(it.path, name))]) {
      expectNone(canaries, readFileSync(file, 'latin1'), file)
    }
  })

  test('down keeps the data, and up has it again', async () => {
    await it.refused('REFUSED_NOT_CONFIRMED', ['down', 'shop'])
    expect(Object.keys(it.engines('shop'))).toHaveLength(6)
    expect((await it.ok(['down', 'shop', '--yes'])).stderr).toContain('shop is down; "holdfast up shop" starts it')
    expect(it.engines('shop')).toEqual({})
    expect((await it.ok(['status', 'shop'])).stdout).toContain('down, as wanted')
    expect(await it.refused('UNREACHABLE_ENGINE', ['cli', 'shop', '--', 'get', 'a'])).toContain(
      'no node of shop answers',
    )
    await it.ok(['up', 'shop', '--detach'])
    expect((await it.ok(['cli', 'shop', '--', 'get', 'a'])).stdout).toBe('1\n')
  })

  test('a controller killed with -9 leaves the engines alone, and the next up carries on with them', async () => {
    const [engines, { controller }] = [it.engines('shop'), await it.status('shop')]
    await it.killController()
    expect(it.engines('shop')).toEqual(engines)
    const { stdout } = await it.ok(['status'])
    expect(stdout).toContain('no controller runs: nothing is healed until "holdfast up"')
    expect((await it.ok(['incidents'])).stdout).toMatch(/^shop {3}[\d.]+ % in /)
    expect((await it.ok(['cli', 'shop', '--', 'get', 'a'])).stdout).toBe('1\n')
    const smaller = it.file('smaller.yaml', { name: 'shop', memory: { maxPerNode: '80mb' }, expose: { basePort } })
    expect((await it.ok(['apply', smaller, '--yes'])).stderr).toContain('No controller runs: it takes effect with')
    expect(it.engines('shop')).toEqual(engines)

    await it.ok(['up', 'shop', '--detach'])
    const after = await it.status('shop')
    expect(after).toMatchObject({ ready: 'yes', settledRevision: 3 })
    expect(after.controller.epoch).toBeGreaterThan(controller.epoch)
    await eventually(async () => {
      const { nodes } = await it.ask<Status>('/deployments/shop')
      return nodes.every(({ memoryMaxBytes }) => memoryMaxBytes === 80 * 1024 ** 2)
    })
    expect(it.engines('shop')).toEqual(engines)
  })

  test('in the foreground, Ctrl-C stops what it keeps up', async () => {
    const engines = it.engines('shop')
    await it.killController()
    const up = it.start(['up', 'shop'])
    await eventually(() => up.stderr().includes('Press Ctrl-C to stop it'), { withinMs: 30_000 })
    expect(it.engines('shop')).toEqual(engines)
    up.signal('SIGINT')
    const { code, stderr } = await up.ended
    expect(stderr).toContain('shop is down; its data is kept')
    expect(code).toBe(0)
    expect(it.engines('shop')).toEqual({})
    expect(it.controller()).toBeUndefined()
  })

  test('Ctrl-C before it is ready stops what was started so far', async () => {
    const up = it.start(['up', 'shop'])
    await eventually(() => Object.keys(it.engines('shop')).length > 0, { withinMs: 30_000 })
    up.signal('SIGINT')
    expect(await up.ended).toMatchObject({ code: 0, stdout: '' })
    expect(it.processes()).toEqual([])
  })

  test('a second Ctrl-C leaves the engines running', async () => {
    const up = it.start(['up', 'shop'])
    await eventually(() => up.stderr().includes('Press Ctrl-C to stop it'), { withinMs: 30_000 })
    // One that is stopped cannot end, so the first Ctrl-C is still at work when the second comes.
    const replica = (await it.status('shop')).nodes.find(({ role }) => role === 'replica')
    const pid = replica?.pid ?? 0
    process.kill(pid, 'SIGSTOP')
    try {
      up.signal('SIGINT')
      await eventually(() => up.stderr().includes('stopping shop'))
      up.signal('SIGINT')
      const { code, stderr } = await up.ended
      expect(stderr).toContain('engines of shop run on and nobody heals them')
      expect(code).toBe(130)
    } finally {
      process.kill(pid, 'SIGCONT')
    }
    expect(it.engines('shop')).toMatchObject({ [replica?.id ?? '']: pid })
    await it.ok(['up', 'shop', '--detach'])
    expect((await it.ok(['cli', 'shop', '--', 'get', 'a'])).stdout).toBe('1\n')
  })

  test('down --purge removes data and document, also without a controller', async () => {
    const dataDirs = sixNodes.map((node) => it.home.node('shop', node))
    expect(dataDirs.every((directory) => existsSync(directory))).toBe(true)
    await it.killController()
    // There is only one, so any other command may leave its name out.
    expect(await it.refused('REFUSED_NOT_CONFIRMED', ['down', '--purge', '--yes'])).toContain('Say its name and --yes')
    expect((await it.ok(['down', 'shop', '--purge', '--yes'])).stderr).toContain('shop and its data are gone')
    expect(it.processes()).toEqual([])
    expect(dataDirs.some((directory) => existsSync(directory))).toBe(false)
    expect(secretsOf(it.home, 'shop')).toEqual({})
    expect(await it.refused('NOT_FOUND', ['status', 'shop'])).toContain('"holdfast up" makes one')
  })

  async function specEvents(): Promise<string[]> {
    return (await it.events('shop')).filter(({ kind }) => kind === 'spec').map(({ because }) => because)
  }
})

const statusFields = [
  'apiVersion because controller copiesInSync displayName engine lossWindow name nodes observedAt operations paused',
  'proxy ready scale sentinels settledRevision shards specRevision topology users wanted',
].flatMap((line) => line.split(' '))

const nodeFields = [
  'ackAgeSeconds clients drained engineId epoch fence host hostId id keys lag link memoryBytes memoryMaxBytes offset opsPerSecond pendingRestart pid port',
  'replid role seenAt shard startFailure state',
].flatMap((line) => line.split(' '))

function cmdlineOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ')
  } catch {
    return '' // gone meanwhile
  }
}

function expectNone(canaries: readonly string[], text: string, where: string): void {
  const found = canaries.filter((canary) => text.includes(canary)).length
  expect(found, `passwords in ${where}`).toBe(0)
}
