import { mkdir, mkdtemp, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises'
import { hostname, tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { enginesDir, isLeftover, putInPlace, withWorkspace, workspaceName } from '../../src/binary/workspace.ts'

const unique = '123e4567-e89b-42d3-a456-426614174000'
let home: string

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'holdfast-workspace-'))
})
afterEach(() => rm(home, { recursive: true, force: true }))

async function treeWith(name: string, content: string): Promise<string> {
  const tree = join(home, name)
  await mkdir(tree)
  await writeFile(join(tree, 'engine'), content)
  return tree
}

const contentOf = (tree: string): Promise<string> => readFile(join(tree, 'engine'), 'utf8')

test('a workspace is gone after its work, also when that failed', async () => {
  await withWorkspace(home, (directory) => writeFile(join(directory, 'half'), 'x'))
  expect(await readdir(enginesDir(home))).toEqual([])
  const failing = withWorkspace(home, async (directory) => {
    await writeFile(join(directory, 'half'), 'x')
    throw new Error('no network')
  })
  await expect(failing).rejects.toThrow('no network')
  expect(await readdir(enginesDir(home))).toEqual([])
})

test('two workspaces of one process do not meet', async () => {
  const names = await Promise.all([1, 2].map(() => withWorkspace(home, async (directory) => directory)))
  expect(new Set(names).size).toBe(2)
})

test('what a killed fetch left is cleared; engines, and fetches that still run, stay', async () => {
  const engines = enginesDir(home)
  const dead = workspaceName(hostname(), 2 ** 30, unique)
  const alive = workspaceName(hostname(), process.pid, unique)
  const elsewhere = workspaceName('another-host', 2 ** 30, unique)
  const forgotten = workspaceName('another-host', 1, unique)
  for (const name of [dead, alive, elsewhere, forgotten, 'redis-server-7.0.15']) {
    await mkdir(join(engines, name), { recursive: true })
  }
  await utimes(join(engines, forgotten), new Date(0), new Date(0))
  await withWorkspace(home, async () => undefined)
  expect((await readdir(engines)).sort()).toEqual([alive, elsewhere, 'redis-server-7.0.15'].sort())
})

test('an old directory that is no workspace is nobody’s leftover', () => {
  const facts = { host: 'a', isAlive: () => false, ageMs: 1e12 }
  expect(isLeftover('redis-server-7.0.15', facts)).toBe(false)
  expect(isLeftover('.fetch-', facts)).toBe(false)
  expect(isLeftover(workspaceName('a', 1, unique), facts)).toBe(true)
})

const always = async (): Promise<boolean> => true

test('the slower of two fetches keeps what the quicker one put there', async () => {
  const place = join(home, 'engine')
  await putInPlace(await treeWith('quick', 'quick'), place, home, always)
  await putInPlace(await treeWith('slow', 'slow'), place, home, always)
  expect(await contentOf(place)).toBe('quick')
})

test('an engine that no longer works gives way', async () => {
  const place = await treeWith('engine', 'broken')
  const workspace = join(home, 'workspace')
  await mkdir(workspace)
  await putInPlace(await treeWith('good', 'good'), place, workspace, async (tree) => (await contentOf(tree)) === 'good')
  expect(await contentOf(place)).toBe('good')
})
