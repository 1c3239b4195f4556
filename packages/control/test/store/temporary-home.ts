import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Home } from '../../src/store/home.ts'
import { openHome } from '../../src/store/home.ts'

export const myUid = process.getuid?.() ?? 0

/** An empty directory that goes away with `clean`. */
export function temporaryDirectory(): { path: string; clean: () => void } {
  const path = mkdtempSync(join(tmpdir(), 'holdfast-test-'))
  return { path, clean: () => rmSync(path, { recursive: true, force: true }) }
}

export function temporaryHome(): { home: Home; clean: () => void } {
  const { path, clean } = temporaryDirectory()
  return { home: openHome(join(path, 'home'), { uid: myUid }), clean }
}
