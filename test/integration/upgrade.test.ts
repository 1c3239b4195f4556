import { randomUUID } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Operation } from '@holdfast/core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { TestDeployment, TestHome } from '../support/deployment.ts'
import { engineNamed, findTestEngine, homeOfEngine } from '../support/engines.ts'
import { nothingWrong, underWrites } from '../support/writing.ts'

const engines = ['redis 7', 'valkey 8', 'valkey 9.1']
/** A compiler on a busy machine. */
const buildWithinMs = 900_000

let several: string
let it: TestDeployment

beforeAll(async () => {
  several = mkdtempSync(join(tmpdir(), 'holdfast-it-engines-'))
  mkdirSync(join(several, 'engines'))
  for (const name of engines) {
    await findTestEngine(engineNamed(name), homeOfEngine(name))
    const kept = join(homeOfEngine(name), 'engines')
    for (const tree of existsSync(kept) ? readdirSync(kept) : []) {
      if (/^(redis|valkey)-server-[\d.]+$/.test(tree)) symlinkSync(join(kept, tree), join(several, 'engines', tree))
    }
  }
  const { flavor, version } = engineNamed('redis 7')
  it = await TestDeployment.up({ engine: { flavor, version } }, new TestHome(undefined, several))
}, buildWithinMs)

afterAll(async () => {
  await it?.close()
  rmSync(several, { recursive: true, force: true })
})

async function upgradeTo(name: string, notBefore: number | null = null): Promise<Operation> {
  const { flavor, version } = engineNamed(name)
  const before = it.controller.spec(it.name)
  const wish = { id: randomUUID(), engine: { flavor, version }, notBefore }
  const { id } = await it.controller.upgrade(it.name, wish, 'ann')
  if (notBefore !== null) expect(it.controller.spec(it.name)).toEqual(before)
  const over = await it.over({ id })
  expect(it.controller.spec(it.name)?.spec['engine']).toEqual(wish.engine)
  return over
}

const versions = async (): Promise<Set<string>> => {
  const infos = await Promise.all(it.status().nodes.map(({ id }) => it.command(id, 'INFO', 'server')))
  return new Set(
    infos.map(
      (info) => /(valkey|redis)_version:(\S+)/g.exec(String(info).replace(/redis_version:7\.2\.4\s/, ''))?.[0] ?? '',
    ),
  )
}

test.each(engines.slice(1))(
  'from the engine before to %s, under writes: nothing is lost, and the cache client notices nothing',
  async (name) => {
    const { found, failures } = await underWrites(it, async () => {
      const operation = await upgradeTo(name, Date.now() + 500)
      expect(operation.because).toMatch(new RegExp(`^upgrade of it to ${name}[\\d.]*: 6 engines restarted in`))
    })
    expect(found).toMatchObject(nothingWrong)
    expect(failures('cache')).toEqual([])
    expect(await versions()).toEqual(new Set([`valkey_version:${it.status().engine?.version}`]))
    expect(it.status().engine?.version.startsWith(name.split(' ')[1] ?? '')).toBe(true)
  },
)

test('back again there is no way, which is said before anything is changed', async () => {
  const before = it.controller.spec(it.name)
  await expect(upgradeTo('valkey 8')).rejects.toThrow(/it runs valkey 9.*would run valkey 8.*but .*Nothing was changed/)
  await expect(upgradeTo('redis 7')).rejects.toThrow(/only Valkey reads/)
  expect(it.controller.spec(it.name)).toEqual(before)
  await it.ready()
})

test('behind Sentinels, which come last and are what the engines are in the end', async () => {
  const { flavor, version } = engineNamed('redis 7')
  const spec = { topology: 'sentinel', replicasPerShard: 1, engine: { flavor, version } }
  const watched = await TestDeployment.up(spec, new TestHome(undefined, several))
  try {
    const before = new Map(watched.status().sentinels.map(({ id, pid }) => [id, pid]))
    const wish = { id: randomUUID(), engine: { flavor: 'valkey', version: '8' }, notBefore: null }
    const operation = await watched.over(watched.controller.upgrade(watched.name, wish, 'ann'))
    expect(operation.because).toMatch(/2 engines and 3 Sentinels restarted in/)
    const { sentinels } = await watched.ready()
    expect(sentinels.filter(({ id, pid }) => pid === before.get(id))).toEqual([])
  } finally {
    await watched.close()
  }
})
