/**
 * The pages in docs/cache, held to the code: every option is there with its default, every link leads somewhere, and the
 * code on the pages for beginners compiles and runs, over an engine in memory in place of one that listens somewhere.
 */
import { execFile } from 'node:child_process'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { bytesOf, durationMs } from '../src/duration.ts'
import { cacheSettings, entryDefaults } from '../src/options.ts'

const root = fileURLToPath(new URL('../../../', import.meta.url))
const docs = join(root, 'docs/cache')
const source = join(root, 'packages/cache/src')
const pages = (await readdir(docs)).filter((name) => name.endsWith('.md'))
const textOf = (path: string): Promise<string> => readFile(path, 'utf8')

describe('every option', async () => {
  const page = await textOf(join(docs, 'options.md'))
  /** Name to default, as the table under the heading with that name has them. */
  const tableOf = (name: string): Map<string, string> => {
    const section = page.split(/^## /m).find((part) => (part.split('\n')[0] ?? '').endsWith(`\`${name}\``)) ?? ''
    const rows = section.matchAll(/^\| `(\w+)` \|[^|]*\| ([^|]*) \|/gm)
    return new Map(Array.from(rows, ([, option = '', otherwise = '']) => [option, otherwise.replaceAll('`', '')]))
  }
  const optionsOf = async (file: string, name: string): Promise<string[]> => {
    const [, body = ''] =
      new RegExp(`export interface ${name}\\b[^{]*\\{\\n(.*?)\\n\\}`, 's').exec(await textOf(file)) ?? []
    return Array.from(body.matchAll(/^ {2}readonly (\w+)\??:/gm), ([, option = '']) => option)
  }

  test.each([
    ['EntryOptions', 'options.ts'],
    ['ReadOptions', 'options.ts'],
    ['WriteOptions', 'options.ts'],
    ['CacheOptions', 'options.ts'],
    ['LocalOptions', 'options.ts'],
    ['LoadOptions', 'options.ts'],
    ['HotOptions', 'options.ts'],
    ['NamespaceOptions', 'cache.ts'],
    ['WriteThroughOptions', 'write-through.ts'],
    ['WarmUpOptions', 'warm-up.ts'],
  ])('of %s is on the page, and no other', async (name, file) => {
    const options = await optionsOf(join(source, file), name)
    expect(options.length).toBeGreaterThan(0)
    expect([...tableOf(name).keys()].sort()).toEqual(options.sort())
  })

  const { entry: _, local, loads, hot, ...others } = cacheSettings({})
  const settings: [string, object][] = [
    ['EntryOptions', entryDefaults],
    ['CacheOptions', others],
    ['LocalOptions', local ?? {}],
    ['LoadOptions', loads],
    ['HotOptions', hot],
  ]
  const defaults = settings.flatMap(([name, values]) =>
    Object.entries(values).map(([setting, value]: [string, unknown]) => ({
      name,
      option: setting.replace(/Ms$/, ''),
      unit: setting.endsWith('Ms') ? 'time' : /bytes$|^compressAbove$/i.test(setting) ? 'size' : 'number',
      value,
    })),
  )

  test.each(defaults)('says the default of $option in $name', ({ name, option, unit, value }) => {
    const written = tableOf(name).get(option) ?? ''
    if (typeof value === 'string') expect(written).toBe(value)
    // What has no number as its default is said in words.
    else if (typeof value !== 'number' || !Number.isFinite(value)) expect(written).toMatch(/^(?:none|as long as)\b/)
    else if (unit === 'time') expect(durationMs(/^\d+$/.test(written) ? Number(written) : written, option)).toBe(value)
    else if (unit === 'size') expect(bytesOf(written, option)).toBe(value)
    else expect(Number(written)).toBe(value)
  })
})

describe('every link', () => {
  /** As the places that show Markdown make them. */
  const anchorOf = (heading: string): string =>
    heading
      .trim()
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-')

  const places = [...pages.map((name) => `docs/cache/${name}`), 'packages/cache/README.md']
  test.each(places)('in %s', async (place) => {
    const path = join(root, place)
    const text = (await textOf(path)).replace(/^```.*?^```/gms, '')
    const links = Array.from(text.matchAll(/\]\(([^)\s]+)\)/g), ([, link = '']) => link)
    const lost: string[] = []
    for (const link of links) {
      if (/^[a-z]+:/.test(link)) continue
      const [file = '', anchor] = link.split('#')
      const target = file === '' ? path : join(dirname(path), file)
      const found = await textOf(target).catch(() => undefined)
      const anchors = Array.from((found ?? '').matchAll(/^#+ (.*)$/gm), ([, heading = '']) => anchorOf(heading))
      if (found === undefined || (anchor !== undefined && !anchors.includes(anchor))) lost.push(link)
    }
    expect(lost).toEqual([])
  })
})

describe('the code on the page', () => {
  const told = ['getting-started.md', 'one-load.md', 'stale.md', 'testing.md']
  const programOf = (page: string): string => page.replace('.md', '.ts')
  let folder = ''

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'holdfast-docs-'))
    for (const page of told) await writeFile(join(folder, programOf(page)), toProgram(await textOf(join(docs, page))))
    const compilerOptions = {
      composite: false,
      incremental: false,
      declaration: false,
      noEmit: true,
      allowImportingTsExtensions: true,
      rewriteRelativeImportExtensions: false,
      noUnusedLocals: false,
      lib: ['ES2023', 'DOM'],
      types: ['node'],
      typeRoots: [join(root, 'node_modules/@types')],
    }
    const config = { extends: join(root, 'tsconfig.base.json'), compilerOptions, include: ['*.ts'] }
    await writeFile(join(folder, 'tsconfig.json'), JSON.stringify(config))
    await writeFile(join(folder, 'package.json'), '{ "type": "module" }')
  })
  afterAll(() => rm(folder, { recursive: true, force: true }))

  test('compiles', { timeout: 60_000 }, async () => {
    const compiler = join(root, 'node_modules/typescript/bin/tsc')
    const compiled = promisify(execFile)(process.execPath, [compiler, '-p', folder]).then(
      () => '',
      (error: { stdout: string }) => error.stdout,
    )
    expect(await compiled).toBe('')
  })

  test.each(told)('of %s runs', async (page) => {
    const program = (await import(/* @vite-ignore */ pathToFileURL(join(folder, programOf(page))).href)) as {
      run(): Promise<number>
    }
    expect(await program.run()).toBeGreaterThan(1)
  })
})

/** All code of a page as one program, each block a function of its own. */
function toProgram(page: string): string {
  const blocks = Array.from(page.matchAll(/^```ts\n(.*?)^```/gms), ([, code = '']) =>
    code.replace(/^import \{([^}]*)\} from '([^']+)'$/gm, (_, names: string, from: string) => {
      const known: Record<string, string> = { '@holdfast/cache': 'face', '@holdfast/cache/testing': 'testing' }
      if (from === 'vitest') return ''
      if (known[from] === undefined)
        throw new Error(`the pages for beginners import nothing but the cache, not ${from}`)
      return `const {${names}} = ${known[from]}`
    }),
  )
  const functions = blocks.map((code) => `async () => {\n${code}}`)
  return `${world}\nconst blocks: (() => Promise<void>)[] = [\n${functions.join(',\n')}\n]\n${runner}`
}

/** What the pages take for granted: a database, a test runner, and in place of an engine somewhere one in memory. */
const world = `
import assert from 'node:assert/strict'
import * as whole from ${JSON.stringify(join(source, 'index.ts'))}
import * as testing from ${JSON.stringify(join(source, 'testing/index.ts'))}

interface Product { id: string; name: string; priceCents: number; stock: number }
const opened: whole.Cache[] = []
const createCache = ({ url, ...options }: whole.CacheOptions): whole.Cache => {
  const cache = whole.createCache({ ...options, engine: options.engine ?? testing.memoryEngine() })
  opened.push(cache)
  return cache
}
const face = { ...whole, createCache }
const apple = (id: string): Product => ({ id, name: 'Apple', priceCents: 50, stock: 3 })
const db = {
  product: async (id: string, _?: AbortSignal): Promise<Product | undefined> => id === 'none' ? undefined : apple(id),
  products: async (ids: readonly string[], _?: AbortSignal): Promise<Product[]> => ids.map(apple),
  save: async (_: Product): Promise<void> => {},
  changedSince: async (_id: string, _ageMs: number): Promise<boolean> => false,
}
const console = { log: (..._: unknown[]): void => {} }
const request = { signal: new AbortController().signal }
const cache = createCache({ url: 'redis://127.0.0.1:6379', namespace: 'page', ttl: '5m' })
const tests: (() => Promise<void>)[] = []
const test = (_: string, run: () => Promise<void>): void => { tests.push(run) }
const expect = (seen: unknown) => ({
  toBe: (wanted: unknown) => assert.equal(seen, wanted),
  toEqual: (wanted: unknown) => assert.deepEqual(seen, wanted),
})
`

const runner = `
export async function run(): Promise<number> {
  try {
    for (const block of blocks) await block()
    for (const one of tests) await one()
  } finally {
    await Promise.all(opened.map((one) => one.close()))
  }
  return blocks.length
}
`

test('no page is left out of the list of pages', async () => {
  const list = await textOf(join(docs, 'README.md'))
  expect(pages.filter((page) => page !== 'README.md' && !list.includes(`(${basename(page)})`))).toEqual([])
})
