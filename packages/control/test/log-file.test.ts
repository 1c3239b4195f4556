import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { HoldfastError } from '@holdfast/core'
import { afterEach, expect, test, vi } from 'vitest'
import { logAt } from '../src/log-file.ts'
import { newPassword } from '../src/new-password.ts'

const folder = mkdtempSync(join(tmpdir(), 'holdfast-log-'))
afterEach(() => rmSync(folder, { recursive: true, force: true }))

test('a log has no secret, whatever it is told', async () => {
  const path = join(folder, 'controller.log')
  const log = logAt(path, { controller: 'c' })
  const canary = newPassword()
  log.info({ deployment: 'shop', password: 'by its name', access: { secrets: { app: 'by its name' } } }, 'told')
  log.error(
    { err: new HoldfastError('ENGINE_REFUSED', `ERR unknown command AUTH ${canary}`, { said: canary }) },
    'failed',
  )
  log.child({ node: 'node-1' }).warn({ because: `redis://app:in-an-address@10.0.0.7 is away` }, canary)
  const text = await vi.waitFor(() => {
    log.flush()
    const written = readFileSync(path, 'utf8')
    expect(written.trim().split('\n')).toHaveLength(3)
    return written
  })
  for (const secret of [canary, 'by its name', 'in-an-address']) expect(text).not.toContain(secret)
  expect(
    text
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as unknown),
  ).toMatchObject([
    { controller: 'c', deployment: 'shop', password: '****' },
    { err: { code: 'ENGINE_REFUSED', message: 'ERR unknown command AUTH hfs_****' } },
    { node: 'node-1', because: 'redis://app:****@10.0.0.7 is away', msg: 'hfs_****' },
  ])
  expect(statSync(path).mode & 0o777).toBe(0o600)
})
