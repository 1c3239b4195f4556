import { mkdirSync, mkdtempSync, rmdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { TestDeployment } from '../support/deployment.ts'
import { eventually } from '../support/eventually.ts'

const groups = '/sys/fs/cgroup/memory'
const spec = { persistence: 'rdb' }

/* The engines in a control group of their own, with less room than what a save may take, and later out of it. */
describe('a host without the memory for a save', () => {
  const group = join(groups, `holdfast-test-${process.pid}`)
  let it: TestDeployment
  let shelf: string

  beforeAll(async () => {
    it = await TestDeployment.up(spec)
    shelf = mkdtempSync(join(tmpdir(), 'holdfast-shelf-'))
    mkdirSync(group)
    writeFileSync(join(group, 'memory.limit_in_bytes'), String(15 * 1024 ** 2))
    moveAllTo(group)
  })

  afterAll(async () => {
    moveAllTo(groups)
    await it?.close()
    rmdirSync(group)
    rmSync(shelf, { recursive: true, force: true })
  })

  function moveAllTo(directory: string): void {
    for (const { pid } of it?.status().nodes ?? []) {
      if (pid !== null) writeFileSync(join(directory, 'cgroup.procs'), String(pid))
    }
  }

  const logging = async (): Promise<number> => {
    const answers = await Promise.all(it.status().nodes.map(({ id }) => it.command(id, 'CONFIG', 'GET', 'appendonly')))
    return answers.filter((answer) => String(answer) === 'appendonly,yes').length
  }

  test('no backup is begun, and it says what is missing', async () => {
    await eventually(async () => {
      const asked = it.controller.backups.ask(it.name, { id: `b-${Date.now()}`, to: shelf }, 'test')
      const { because } = await it.over(asked)
      return /a save needs [\d.]+ MB of memory .*, and [\d.]+ [KM]?B are free/.test(because)
    })
  })

  test('what is written to disk is not changed before there is room; then one engine after the other', async () => {
    const { mark } = it
    await it.controller.apply({ ...it.controller.spec(it.name)?.spec, persistence: 'hybrid' }, null, 'test')
    await eventually(() => /is not changed yet: a save needs/.test(it.status().because), { withinMs: 20_000 })
    expect(await logging()).toBe(0)
    moveAllTo(groups)
    await eventually(async () => (await logging()) === 6, { withinMs: 30_000, what: 'all log their writes' })
    await it.ready()
    expect(it.told('turn', mark).join('\n')).toMatch(/node-\d waits until node-\d has saved/)
  })
})
