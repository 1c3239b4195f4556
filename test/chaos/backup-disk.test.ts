import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Operation } from '@holdfast/core'
import { isUnfinished } from '@holdfast/core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { tagOf } from '../../packages/control/src/ledger/probe.ts'
import { TestDeployment } from '../support/deployment.ts'
import { eventually } from '../support/eventually.ts'

/* Backups go to a small file system of their own, in memory: filling it up hurts nobody else. */
describe('a full disk for backups', () => {
  let mount: string
  let it: TestDeployment

  beforeAll(async () => {
    mount = mkdtempSync(join(tmpdir(), 'holdfast-backups-'))
    const { status, stderr } = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=24m,mode=700', 'holdfast', mount])
    if (status !== 0) throw new Error(`these tests need root, and a machine that may mount: ${String(stderr)}`)
    it = await TestDeployment.up()
    const fill = "for i = 1, 60000 do redis.call('SET', ARGV[1] .. i, string.rep(i % 10, 20) .. redis.sha1hex(i)) end"
    for (const { primary, slots } of it.status().shards) {
      await it.command(primary ?? '', 'EVAL', fill, '0', `${tagOf(slots) ?? ''}:`)
    }
  })

  afterAll(async () => {
    await it?.close()
    spawnSync('umount', ['--lazy', mount])
    rmSync(mount, { recursive: true, force: true })
  })

  const over = (id: string): Promise<Operation> =>
    eventually(
      () => {
        const seen = it.status().operations.find((one) => one.id === id)
        if (seen === undefined || isUnfinished(seen)) throw new Error(seen?.because ?? 'not asked for')
        return seen
      },
      { withinMs: 30_000, what: id },
    )

  test('is said with what is missing and what to do, and nothing half done stays', async () => {
    writeFileSync(join(mount, 'ballast'), Buffer.alloc(22 * 1024 ** 2))
    await it.controller.backups.ask(it.name, { id: 'full', to: mount }, 'test')
    const { state, because } = await over('full')
    expect(state).toBe('failed')
    expect(because).toMatch(/needs about [\d.]+ MB, and [\d.]+ (KB|MB) are free\. Free some space/)
    await eventually(() => readdirSync(mount).join() === 'ballast')
    await it.ready()
  })

  test('takes the next one as soon as there is room', async () => {
    rmSync(join(mount, 'ballast'))
    await it.controller.backups.ask(it.name, { id: 'room', to: mount }, 'test')
    expect(await over('room')).toMatchObject({ state: 'done' })
    expect(readdirSync(mount)).toEqual(['room'])
  })
})
