import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { renderUnit, unitName } from '@holdfast/core'
import { expect, onTestFinished, test } from 'vitest'

const hasSystemd = spawnSync('systemd-analyze', ['--version']).status === 0

test.skipIf(!hasSystemd).each(['agent', 'serve'] as const)('systemd reads the unit of %s as it is meant', (part) => {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-unit-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const path = join(folder, unitName(part))
  writeFileSync(
    path,
    renderUnit({ part, home: `${folder}/a home`, user: 'daemon', command: [process.execPath, 'main.js'] }),
  )
  const { status, stderr } = spawnSync('systemd-analyze', ['verify', path], { encoding: 'utf8' })
  // Of other units of this machine it may say what it likes.
  expect(stderr.split('\n').filter((line) => line.includes(path))).toEqual([])
  expect(status).toBe(0)
})
