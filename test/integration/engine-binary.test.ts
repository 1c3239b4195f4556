/**
 * The real fetch: apt, its package sources, and an engine that runs afterwards. Machines without apt-get cannot fetch;
 * what they are told is tested with the search. The PATH here has all programs of the machine except engines, so that
 * an installed one does not end the search early.
 */

import { execFile, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { chmod, chown, copyFile, cp, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { type EngineBinary, findEngine } from '../../packages/control/src/binary/find.ts'

const run = promisify(execFile)
const repository = resolve(import.meta.dirname, '../..')
const programDirectories = ['/usr/local/bin', '/usr/bin', '/bin', '/usr/sbin', '/sbin']
const anything = { flavor: 'auto', version: null, path: null } as const
const nobody = 65534

interface Answer {
  readonly engine: EngineBinary
  readonly said: string[]
}

let machine: string
let root: string
let said: string[]

beforeAll(async () => {
  machine = await mkdtemp(join(tmpdir(), 'holdfast-machine-'))
  await chmod(machine, 0o755)
  await linkPrograms()
})
afterAll(() => rm(machine, { recursive: true, force: true }))

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'holdfast-fetch-'))
  await chmod(root, 0o755)
  said = []
})
afterEach(async () => {
  delete process.env['APT_CONFIG']
  await rm(root, { recursive: true, force: true })
})

async function linkPrograms(): Promise<void> {
  await mkdir(join(machine, 'bin'))
  for (const directory of programDirectories.filter(existsSync)) {
    const names = (await readdir(directory)).filter((name) => !/^(valkey|redis)-/.test(name))
    const links = names.map((name) => symlink(join(directory, name), join(machine, 'bin', name)).catch(() => undefined))
    await Promise.all(links)
  }
}

const home = (): string => join(root, 'home')

function find(wanted: Partial<Parameters<typeof findEngine>[0]> = {}): Promise<EngineBinary> {
  const world = {
    home: home(),
    cache: join(root, 'cache'),
    path: join(machine, 'bin'),
    progress: (line: string) => said.push(line),
  }
  return findEngine({ ...anything, ...wanted }, world)
}

/** apt reads this file before all others, as on a machine that is set up so. */
async function aptSettings(...lines: string[]): Promise<void> {
  const file = join(root, 'apt.conf')
  await writeFile(file, lines.map((line) => `${line};\n`).join(''))
  process.env['APT_CONFIG'] = file
}

async function emptyLists(): Promise<string> {
  const lists = join(root, 'lists')
  await mkdir(lists)
  await aptSettings(`Dir::State::lists "${lists}/"`)
  return lists
}

/** Starts the engine on a socket, pings it with its own client, and ends it. */
async function pings(engine: EngineBinary): Promise<string> {
  const socket = join(root, 'engine.sock')
  const args = ['--port', '0', '--unixsocket', socket, '--save', '', '--dir', root]
  const env = { ...process.env, ...engine.env }
  const server = spawn(engine.server, args, { env, stdio: 'ignore' })
  const ended = new Promise((done) => server.once('exit', done))
  try {
    await expect.poll(() => existsSync(socket), { timeout: 10_000 }).toBe(true)
    const { stdout } = await run(engine.cli ?? 'no client', ['-s', socket, 'ping'], { env })
    return stdout.trim()
  } finally {
    server.kill('SIGKILL')
    await ended
  }
}

/**
 * The built code in a place that everybody may read: a clone in the home of root would be closed to an ordinary user.
 */
async function stage(): Promise<string> {
  const app = join(machine, 'app')
  if (existsSync(app)) return app
  await run(process.execPath, [join(repository, 'node_modules/typescript/bin/tsc'), '-b', 'packages/control'], {
    cwd: repository,
  })
  const core = join(app, 'node_modules/@holdfast/core')
  await cp(join(repository, 'packages/control/dist/binary'), join(app, 'binary'), { recursive: true })
  await cp(join(repository, 'packages/core/dist'), join(core, 'dist'), { recursive: true })
  await copyFile(join(repository, 'packages/core/package.json'), join(core, 'package.json'))
  await cp(join(repository, 'node_modules/zod'), join(app, 'node_modules/zod'), { recursive: true })
  await copyFile(process.execPath, join(app, 'node'))
  await writeFile(join(app, 'package.json'), '{ "type": "module" }')
  await writeFile(
    join(app, 'find.js'),
    `import { findEngine } from './binary/find.js'
const [home, path] = process.argv.slice(2)
const said = []
const progress = (line) => { said.push(line); process.stderr.write(line) }
const engine = await findEngine(${JSON.stringify(anything)}, { home, cache: home + '-cache', path, progress })
console.log(JSON.stringify({ engine, said }))
`,
  )
  return app
}

async function findInProcess(options: { readonly uid?: number; readonly gid?: number } = {}): Promise<Answer> {
  const app = await stage()
  const args = [join(app, 'find.js'), home(), join(machine, 'bin')]
  const { stdout } = await run(join(app, 'node'), args, { cwd: '/', ...options })
  const answer: Answer = JSON.parse(stdout)
  return answer
}

interface Package {
  readonly name: string
  readonly version: string
  readonly files: Readonly<Record<string, string>>
}

const says = (words: string): string => `#!/bin/sh\necho "${words}"\n`
const aServer = (name: 'Valkey' | 'Redis', version: string): Package => {
  const program = `${name.toLowerCase()}-server`
  return {
    name: program,
    version: `5:${version}-1`,
    files: { [`usr/bin/${program}`]: says(`${name} server v=${version}`) },
  }
}
const itsTools = (name: 'valkey' | 'redis', version: string): Package => ({
  name: `${name}-tools`,
  version: `5:${version}-1`,
  files: { [`usr/bin/${name}-cli`]: says('PONG') },
})

/** A package source of our own, and the only one that apt sees. Its lists are not read yet. */
async function offer(...packages: Package[]): Promise<string> {
  const source = join(root, 'source')
  await rm(source, { recursive: true, force: true })
  await mkdir(source, { recursive: true })
  const entries = await Promise.all(packages.map((each) => build(each, source)))
  await writeFile(join(source, 'Packages'), entries.join('\n'))
  await writeFile(join(root, 'sources.list'), `deb [trusted=yes] copy:${source} ./\n`)
  return source
}

async function build({ name, version, files }: Package, source: string): Promise<string> {
  const tree = join(root, 'build', name)
  const control = `Package: ${name}\nVersion: ${version}\nArchitecture: all\nMaintainer: A <a@example.org>\nDescription: ${name}\n`
  for (const [file, content] of Object.entries({ ...files, 'DEBIAN/control': control })) {
    await mkdir(dirname(join(tree, file)), { recursive: true })
    await writeFile(join(tree, file), content, { mode: file === 'DEBIAN/control' ? 0o644 : 0o755 })
  }
  const deb = `${name}_${version.replace(/^\d+:/, '')}_all.deb`
  await run('dpkg-deb', ['-b', tree, join(source, deb)])
  const bytes = await readFile(join(source, deb))
  const hash = createHash('sha256').update(bytes).digest('hex')
  return `${control}Filename: ./${deb}\nSize: ${bytes.length}\nSHA256: ${hash}\n`
}

/** A machine whose one source is `offer`'s, with lists below the test's directory. */
async function onlyOurSource(): Promise<void> {
  await mkdir(join(root, 'lists/partial'), { recursive: true })
  await aptSettings(
    `Dir::State::lists "${join(root, 'lists')}/"`,
    `Dir::Etc::sourcelist "${join(root, 'sources.list')}"`,
    'Dir::Etc::sourceparts "/dev/null"',
    'Acquire::Retries "0"',
  )
}

const readMachineLists = () =>
  run('apt-get', ['update', '-o', 'APT::Sandbox::User=root', '-o', 'Debug::NoLocking=true'])

if (programDirectories.some((directory) => existsSync(join(directory, 'apt-get')))) {
  test('an engine is fetched, runs with its own libraries, and is found again', async () => {
    const engine = await find()
    expect(engine.source).toBe('fetched')
    expect(engine.server.startsWith(`${home()}/engines/${engine.flavor}-server-${engine.version}/`)).toBe(true)
    expect(said.at(-1)).toMatch(/^fetching (valkey|redis)-server \d+\.\d+\.\d+, \d+(\.\d)? MB$/)
    expect(await pings(engine)).toBe('PONG')
    expect(engine.benchmark).not.toBeNull()
    const before = said.length
    expect(await find()).toEqual({ ...engine, source: 'cache' })
    expect(said).toHaveLength(before)
    expect(await readdir(join(home(), 'engines'))).toHaveLength(1)
  })

  test('where the package lists were never read, they are read below the home, and stay unread for the machine', async () => {
    const lists = await emptyLists()
    const engine = await find()
    expect(engine.source).toBe('fetched')
    expect(said).toEqual(['reading package lists ...', expect.stringMatching(/^fetching /)])
    expect(await readdir(lists)).toEqual([])
    expect(await readdir(join(home(), 'engines'))).toHaveLength(1)
  })

  test('an ordinary user can fetch, with the lists of the machine and without', async () => {
    await mkdir(home())
    const asRoot = process.getuid?.() === 0
    if (asRoot) await chown(home(), nobody, nobody)
    const user = asRoot ? { uid: nobody, gid: nobody } : {}
    expect((await findInProcess(user)).engine.source).toBe('fetched')
    await rm(join(home(), 'engines'), { recursive: true })
    await emptyLists()
    const { engine, said: lines } = await findInProcess(user)
    expect(lines[0]).toBe('reading package lists ...')
    expect(await pings(engine)).toBe('PONG')
  })

  test('two processes that fetch for one home end with one engine that both can use', async () => {
    const [one, other] = await Promise.all([findInProcess(), findInProcess()])
    expect(one.engine).toEqual(other.engine)
    expect(await readdir(join(home(), 'engines'))).toHaveLength(1)
    expect(await pings(one.engine)).toBe('PONG')
  })

  test('a fetch that was killed leaves nothing that is used or stays', async () => {
    const app = await stage()
    const args = [join(app, 'find.js'), home(), join(machine, 'bin')]
    const child = spawn(join(app, 'node'), args, { stdio: ['ignore', 'ignore', 'pipe'] })
    const ended = new Promise((done) => child.once('exit', done))
    await Promise.race([new Promise((begun) => child.stderr.once('data', begun)), ended])
    child.kill('SIGKILL')
    await ended
    expect((await readdir(join(home(), 'engines'))).map((name) => name.slice(0, 7))).toEqual(['.fetch-'])
    const engine = await find()
    expect(engine.source).toBe('fetched')
    expect(await readdir(join(home(), 'engines'))).toHaveLength(1)
  })

  test('a source that cannot be reached is named in the words of apt', async () => {
    await onlyOurSource()
    await writeFile(join(root, 'sources.list'), 'deb [trusted=yes] http://127.0.0.1:9/debian ./\n')
    await expect(find()).rejects.toMatchObject({
      code: 'ENGINE_MISSING',
      message: expect.stringMatching(/cannot read the package lists: .*127\.0\.0\.1.*Check that this machine reaches/),
      cause: expect.objectContaining({ message: expect.stringContaining('Could not connect') }),
    })
    expect(await readdir(join(home(), 'engines'))).toEqual([])
  })

  test('Valkey is preferred, with its tools; Redis comes when it is asked for', async () => {
    await onlyOurSource()
    await offer(
      aServer('Redis', '7.0.15'),
      itsTools('redis', '7.0.15'),
      aServer('Valkey', '8.0.1'),
      itsTools('valkey', '8.0.1'),
    )
    const engine = await find()
    expect(engine).toMatchObject({ flavor: 'valkey', version: '8.0.1', env: {} })
    expect(engine.cli).toBe(join(dirname(engine.server), 'valkey-cli'))
    expect(await find({ version: '7' })).toMatchObject({ flavor: 'redis', version: '7.0.15' })
    expect((await readdir(join(home(), 'engines'))).sort()).toEqual(['redis-server-7.0.15', 'valkey-server-8.0.1'])
  })

  test('lists that still tell of a version that is gone lead to the one that came after it', async () => {
    await onlyOurSource()
    await offer(aServer('Redis', '7.0.14'), itsTools('redis', '7.0.14'))
    await readMachineLists()
    await offer(aServer('Redis', '7.0.15'), itsTools('redis', '7.0.15'))
    expect(await find()).toMatchObject({ version: '7.0.15', source: 'fetched' })
    expect(said.map((line) => line.replace(/,.*/, ''))).toEqual([
      'fetching redis-server 7.0.14',
      'reading package lists ...',
      'fetching redis-server 7.0.15',
    ])
  })

  test('sources with too old an engine only are told apart from sources with none', async () => {
    await onlyOurSource()
    await offer(aServer('Redis', '6.0.16'), itsTools('redis', '6.0.16'))
    await expect(find()).rejects.toMatchObject({ code: 'ENGINE_TOO_OLD' })
    await offer({ name: 'hello', version: '1.0', files: {} })
    await expect(find()).rejects.toMatchObject({
      code: 'ENGINE_MISSING',
      message: expect.stringContaining('have neither valkey-server nor redis-server'),
    })
  })
}
