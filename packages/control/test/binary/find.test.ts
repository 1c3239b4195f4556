import { access, chmod, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { parseSpec } from '@holdfast/core'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { WantedEngine } from '../../src/binary/engine-binary.ts'
import { type EngineBinary, findEngine, findEngineFor } from '../../src/binary/find.ts'

/** Engines here are shell scripts that answer `--version`; the search runs them as it runs real ones. */
const redis = (version: string): string => `echo "Redis server v=${version} sha=0:0 malloc=libc bits=64 build=0"`
const valkey = (version: string): string => `echo "Valkey server v=${version} sha=0:0 malloc=libc bits=64 build=0"`
const anything: WantedEngine = { flavor: 'auto', version: null, path: null }

let root: string
let said: string[]

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'holdfast-find-'))
  said = []
})
afterEach(() => rm(root, { recursive: true, force: true }))

async function program(file: string, ...lines: string[]): Promise<string> {
  const path = join(root, file)
  await mkdir(dirname(path), { recursive: true })
  await writeFile(path, `#!/bin/sh\n${lines.join('\n')}\n`)
  await chmod(path, 0o755)
  return path
}

function find(wanted: Partial<WantedEngine> = {}, directories: string[] = ['bin']): Promise<EngineBinary> {
  const path = directories.map((directory) => join(root, directory)).join(':')
  const world = {
    home: join(root, 'home'),
    cache: join(root, 'cache'),
    path,
    progress: (line: string) => said.push(line),
  }
  return findEngine({ ...anything, ...wanted }, world)
}

const cached = (name: string, ...lines: string[]): Promise<string> =>
  program(join('home/engines', name, 'usr/bin', name.replace(/-[0-9.]+$/, '')), ...lines)

test('Valkey on the PATH comes before Redis, with the tools beside it', async () => {
  await program('bin/redis-server', redis('7.0.15'))
  const server = await program('bin/valkey-server', valkey('8.0.1'))
  const cli = await program('bin/valkey-cli')
  const benchmark = await program('bin/valkey-benchmark')
  expect(await find()).toEqual({
    flavor: 'valkey',
    version: '8.0.1',
    server,
    cli,
    benchmark,
    env: {},
    source: 'path',
  })
})

test("the spec's path wins over everything, and tools may come from the PATH", async () => {
  await program('bin/valkey-server', valkey('8.0.1'))
  const cli = await program('bin/redis-cli')
  const path = await program('opt/my-engine', redis('7.2.0'))
  expect(await find({ path })).toMatchObject({ server: path, cli, benchmark: null, source: 'spec' })
})

test('an engine of the PATH that was not asked for is passed over', async () => {
  await program('a/redis-server', redis('6.2.0'))
  await program('a/valkey-server', valkey('8.0.1'))
  const server = await program('b/redis-server', redis('7.0.15'))
  expect(await find({ version: '7.0' }, ['a', 'b'])).toMatchObject({ server, version: '7.0.15' })
  expect(await find({ flavor: 'redis' }, ['b', 'a'])).toMatchObject({ server })
})

test('a link of the other name is what it says it is', async () => {
  const server = await program('bin/redis-server', valkey('8.0.1'))
  expect(await find({ flavor: 'valkey' })).toMatchObject({ server, flavor: 'valkey' })
})

test('one that does not run is passed over, and so is a directory of that name', async () => {
  await program('a/valkey-server', 'echo "error while loading shared libraries: liblzf.so.1" >&2', 'exit 127')
  await mkdir(join(root, 'b/valkey-server'), { recursive: true })
  const server = await program('c/redis-server', redis('7.0.15'))
  expect(await find({}, ['a', 'b', 'c'])).toMatchObject({ server })
})

test('a relative directory of the PATH is not searched', async () => {
  await program('bin/redis-server', redis('7.0.15'))
  const world = {
    home: join(root, 'home'),
    cache: join(root, 'cache'),
    path: `.:${join(root, 'bin')}:`,
    progress: () => undefined,
  }
  expect((await findEngine(anything, world)).server).toBe(join(root, 'bin/redis-server'))
})

test('the cache is used when the PATH has nothing, the newest first', async () => {
  await cached('redis-server-7.0.15', redis('7.0.15'))
  await cached('redis-server-7.0.9', redis('7.0.9'))
  expect(await find()).toMatchObject({ version: '7.0.15', source: 'cache' })
  expect(await find({ version: '7.0.9' })).toMatchObject({ version: '7.0.9', source: 'cache' })
  const server = await cached('valkey-server-8.0.1', valkey('8.0.1'))
  expect(await find()).toMatchObject({ server, source: 'cache' })
})

test('an unpacked engine runs with the libraries that were unpacked with it', async () => {
  const libraries = join(root, 'home/engines/redis-server-7.0.15/usr/lib/x86_64-linux-gnu')
  await mkdir(libraries, { recursive: true })
  await writeFile(join(libraries, 'liblzf.so.1'), '')
  await cached('redis-server-7.0.15', `[ "$LD_LIBRARY_PATH" = "${libraries}" ] || exit 127`, redis('7.0.15'))
  expect((await find()).env).toEqual({ LD_LIBRARY_PATH: libraries })
})

test('a cached engine that does not run, or was never finished, is not used', async () => {
  await cached('redis-server-7.0.15', 'exit 127')
  await program('home/engines/.fetch-x/tree/usr/bin/redis-server', redis('7.0.15'))
  await expect(find()).rejects.toMatchObject({ code: 'ENGINE_MISSING' })
})

test('without an engine and without apt-get it says what to run', async () => {
  await expect(find()).rejects.toMatchObject({
    code: 'ENGINE_MISSING',
    message: expect.stringMatching(/^found no Valkey or Redis on the PATH, and without apt-get .*engine\.path/),
  })
  expect(said).toEqual([])
})

test('what was passed over is mentioned when nothing else is found', async () => {
  const server = await program('bin/redis-server', redis('7.0.15'))
  await expect(find({ flavor: 'valkey', version: '8' })).rejects.toMatchObject({
    code: 'ENGINE_MISSING',
    message: expect.stringContaining(`Passed over on the PATH: ${server} is redis 7.0.15, not valkey 8.`),
  })
})

test('an engine that is only too old is called too old', async () => {
  const server = await program('bin/redis-server', redis('6.0.16'))
  await expect(find()).rejects.toMatchObject({
    code: 'ENGINE_TOO_OLD',
    message: expect.stringContaining(`${server} is redis 6.0.16, which is too old`),
  })
  await expect(find({ path: server })).rejects.toMatchObject({
    code: 'ENGINE_TOO_OLD',
    message: expect.stringContaining('Valkey 7.2 or later, Redis 6.2 or later'),
  })
})

test('a path of the spec that is no engine is refused with the path, and nothing replaces it', async () => {
  await program('bin/valkey-server', valkey('8.0.1'))
  const plain = join(root, 'plain')
  await writeFile(plain, 'text')
  const refused: [path: string, why: string][] = [
    [join(root, 'nowhere'), 'does not exist'],
    [plain, 'is not executable'],
    [join(root, 'bin'), 'is not a file'],
    [await program('ls', 'echo "ls (GNU coreutils) 9.1"'), 'is not an engine: it answers --version with "ls (GNU'],
    [await program('crash', 'kill -SEGV $$'), 'does not run: was ended by SIGSEGV'],
  ]
  for (const [path, why] of refused) {
    const message = expect.stringContaining(`${path} ${why}`)
    await expect(find({ path })).rejects.toMatchObject({ code: 'ENGINE_MISSING', message, facts: { path } })
  }
})

test('a path of the spec that contradicts its flavor is refused', async () => {
  const path = await program('opt/redis-server', redis('7.0.15'))
  const message = expect.stringContaining(`${path} is redis 7.0.15, not valkey`)
  await expect(find({ path, flavor: 'valkey' })).rejects.toMatchObject({ code: 'ENGINE_MISSING', message })
})

/** Package programs that know one release of Redis, and note each question in `asked`. `gone` fails old downloads. */
async function fakeApt(version: string): Promise<void> {
  const deb = `redis-server_5%3a${version}-1_amd64.deb`
  const table = `redis-server:\n  Installed: (none)\n  Candidate: 5:${version}-1`
  const ask = `echo "$1" >> ${root}/asked`
  await program('bin/apt-config')
  await program('bin/apt-cache', `printf '%s\\n' '${table}'`)
  await program(
    'bin/apt-get',
    ask,
    `case "$1" in`,
    `install) echo "'http://example.org/x' ${deb} 1572864 SHA256:0" ;;`,
    `download) if [ -e ${root}/gone ]; then rm ${root}/gone; echo "E: Failed to fetch x  404  Not Found" >&2; exit 100; fi; : > ${deb} ;;`,
    `esac`,
  )
  const server = `#!/bin/sh\\n${redis(version).replaceAll('"', '\\"')}`
  await program(
    'bin/dpkg-deb',
    `if [ -e ${root}/full ]; then echo "dpkg-deb: error: No space left on device" >&2; exit 2; fi`,
    `/bin/mkdir -p "$3/usr/bin"`,
    `printf "${server}\\n" > "$3/usr/bin/redis-server"`,
    `/bin/chmod 755 "$3/usr/bin/redis-server"`,
  )
  for (const tool of ['rm', 'cat']) await program(`bin/${tool}`, `exec /bin/${tool} "$@"`)
}

const onLinux = process.platform === 'linux'
const exists = (file: string): Promise<boolean> => access(join(root, file)).then(onYes, onNo)
const onYes = (): boolean => true
const onNo = (): boolean => false

if (onLinux) {
  test('the fetch tells its cost before it begins, and leaves nothing but the engine', async () => {
    await fakeApt('7.0.15')
    expect(await find()).toMatchObject({ version: '7.0.15', source: 'fetched' })
    expect(said).toEqual(['fetching redis-server 7.0.15, 1.5 MB'])
    expect(await readdir(join(root, 'home/engines'))).toEqual(['redis-server-7.0.15'])
    expect(await find()).toMatchObject({ source: 'cache' })
    expect(said).toHaveLength(1)
  })

  test('lists so old that their files are gone are read again', async () => {
    await fakeApt('7.0.15')
    await writeFile(join(root, 'gone'), '')
    expect(await find()).toMatchObject({ source: 'fetched' })
    expect(said).toEqual([
      'fetching redis-server 7.0.15, 1.5 MB',
      'reading package lists ...',
      'fetching redis-server 7.0.15, 1.5 MB',
    ])
  })

  test('an engine that is too old is not downloaded', async () => {
    await fakeApt('6.0.16')
    await expect(find()).rejects.toMatchObject({
      code: 'ENGINE_TOO_OLD',
      message: expect.stringContaining('offer only redis 6.0.16, and Holdfast runs Valkey 7.2 or later'),
    })
    expect(said).toEqual(['reading package lists ...'])
  })

  test('a cached engine that stopped running is replaced', async () => {
    await fakeApt('7.0.15')
    await cached('redis-server-7.0.15', 'exit 127')
    expect(await find()).toMatchObject({ source: 'fetched' })
    expect(await find()).toMatchObject({ source: 'cache' })
  })

  test('a disk that fills up is the disk’s fault, and is asked only once', async () => {
    await fakeApt('7.0.15')
    await writeFile(join(root, 'full'), '')
    await expect(find()).rejects.toMatchObject({ code: 'HOST_DISK_FULL' })
    expect(said).toEqual(['fetching redis-server 7.0.15, 1.5 MB'])
    expect(await readdir(join(root, 'home/engines'))).toEqual([])
  })

  test('a home that cannot be made is refused before the network is touched', async () => {
    await fakeApt('7.0.15')
    await writeFile(join(root, 'home'), 'a file')
    await expect(find()).rejects.toMatchObject({ code: 'HOST_READ_ONLY' })
    expect(await exists('asked')).toBe(false)
  })
}

const built = (name: string, ...lines: string[]): Promise<string> =>
  program(join('cache/engines', name, 'usr/bin', name.replace(/-[0-9.]+$/, '')), ...lines)

test('what was built before is copied into the home, and only for whom asks for its version', async () => {
  await built('valkey-server-9.1.2', valkey('9.1.2'))
  await expect(find()).rejects.toMatchObject({ code: 'ENGINE_MISSING' })
  await expect(find({ flavor: 'redis', version: '9' })).rejects.toMatchObject({ code: 'ENGINE_MISSING' })
  const server = join(root, 'home/engines/valkey-server-9.1.2/usr/bin/valkey-server')
  expect(await find({ version: '9.1' })).toMatchObject({ server, version: '9.1.2', source: 'cache' })
  await rm(join(root, 'cache'), { recursive: true })
  expect(await find({ flavor: 'valkey', version: '9' })).toMatchObject({ server, source: 'cache' })
  expect(await readdir(join(root, 'home/engines'))).toEqual(['valkey-server-9.1.2'])
})

test('a build that does not run, or was never finished, is not copied', async () => {
  await built('valkey-server-9.1.2', 'exit 127')
  await program('cache/engines/.fetch-x/tree/usr/bin/valkey-server', valkey('9.1.2'))
  await expect(find({ version: '9' })).rejects.toMatchObject({ code: 'ENGINE_MISSING' })
})

test('two homes that take the same build at once both have it whole', async () => {
  await built('valkey-server-9.1.2', valkey('9.1.2'))
  const both = await Promise.all([find({ version: '9.1' }), find({ version: '9.1' })])
  expect(both[0]).toEqual(both[1])
})

test('an engine that was built without TLS is refused where TLS is wanted, and nowhere else', async () => {
  const answers = (word: string): string =>
    `case "$1" in --version) ${redis('7.0.15')};; *) echo "${word}"; exit 1;; esac`
  const world = { home: join(root, 'home'), cache: join(root, 'cache'), path: join(root, 'bin'), progress: () => {} }
  const [clear, secured] = [{}, { tls: 'on' }].map((security) => parseSpec({ name: 'shop', security }))
  if (clear === undefined || secured === undefined) throw new Error('no specs')
  await program('bin/redis-server', answers('Bad directive or wrong number of arguments'))
  await expect(findEngineFor(clear, world)).resolves.toMatchObject({ version: '7.0.15' })
  await expect(findEngineFor(secured, world)).rejects.toMatchObject({ code: 'ENGINE_WITHOUT_TLS' })
  await program('bin/redis-server', answers('Failed to load certificate: /dev/null'))
  await expect(findEngineFor(secured, world)).resolves.toMatchObject({ version: '7.0.15' })
})
