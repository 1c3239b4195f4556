import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, rmSync, statfsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { FaultWish } from '@holdfast/core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { TestDeployment, TestHome } from '../support/deployment.ts'
import { eventually } from '../support/eventually.ts'

const wish: FaultWish = { fault: 'disk-full', forMs: 4000, node: null, onProduction: null, drill: null }

/* A home on a small file system of its own, in memory: filling it up hurts nobody else. */
describe('a full disk', () => {
  let mount: string
  let it: TestDeployment

  beforeAll(async () => {
    mount = mkdtempSync(join(tmpdir(), 'holdfast-disk-'))
    const { status, stderr } = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=256m,mode=700', 'holdfast', mount])
    if (status !== 0) throw new Error(`these tests need root, and a machine that may mount: ${String(stderr)}`)
    const home = join(mount, 'home')
    mkdirSync(home, { mode: 0o700 })
    it = await TestDeployment.up({ drills: 'yes' }, new TestHome(home))
  })

  afterAll(async () => {
    await it?.close()
    // The controller's log is open as long as this process lives; nobody sees the file system any more.
    spawnSync('umount', ['--lazy', mount])
    rmSync(mount, { recursive: true })
  })

  const freeBytes = (): number => {
    const { bavail, bsize } = statfsSync(mount)
    return bavail * bsize
  }

  /** To whichever primary has its slot; the engine's words where it is refused. */
  async function write(): Promise<string> {
    const said = await Promise.all(
      it
        .status()
        .shards.map(({ primary }) =>
          it.command(primary ?? '', 'SET', 'a', 'b').catch((error: unknown) => String(error)),
        ),
    )
    return said.join(' ')
  }

  test('refuses writes while it lasts; when the ballast is gone all is well again, and told', async () => {
    const [before, mark] = [freeBytes(), it.mark]
    expect((await it.controller.previewFault(it.name, wish)).order?.targets).toHaveLength(6)
    const { id, because } = await it.controller.injectFault(it.name, wish, 'test')
    expect(freeBytes()).toBe(0)
    const ballast = join(it.place.home.deployment(it.name), `ballast-${id}`)
    expect(existsSync(ballast)).toBe(true)
    await eventually(async () => (await write()).includes('MISCONF'))
    await eventually(async () => (await it.controller.faults(it.name))[0]?.healedAt != null)
    expect(existsSync(ballast)).toBe(false)
    expect(freeBytes()).toBeGreaterThan(before / 2)
    await eventually(async () => (await write()).includes('OK'))
    await it.ready()
    await eventually(() => it.told('drill', mark).length === 2)
    expect(it.told('drill', mark)).toEqual([
      because,
      expect.stringMatching(/^healed after [\d.]+ s: the file system of/),
    ])
  })
})
