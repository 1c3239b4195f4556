/** The files by which an engine, Sentinel or proxy speaks TLS: whom it believes, and what it shows. Private keys are for their owner alone. */
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { NodeFiles } from '@holdfast/core'
import { nodePaths } from '@holdfast/core'

/** By a rename: whoever starts the engine in this moment finds a whole file. */
export function writeWhole(path: string, text: string): void {
  writeFileSync(`${path}.next`, text, { mode: 0o600 })
  renameSync(`${path}.next`, path)
}

/** Before any other file names them. */
export function writeIdentity(nodeDir: string, { tls }: NodeFiles): void {
  if (tls === undefined) return
  const { authority, identities } = nodePaths(nodeDir)
  mkdirSync(identities, { recursive: true, mode: 0o700 })
  writeWhole(authority, tls.authority)
  if (tls.identity !== undefined) writeWhole(join(identities, tls.identity.file), tls.identity.pem)
}

/** What no file names any more: a key that nobody uses is one that can only be stolen. */
export function dropOldIdentities(nodeDir: string, { tls }: NodeFiles): void {
  if (tls?.identity === undefined) return
  const { identities } = nodePaths(nodeDir)
  const old = readdirSync(identities).filter((name) => name.endsWith('.pem') && name !== tls.identity?.file)
  for (const name of old) rmSync(join(identities, name), { force: true })
}

/** Whom to believe that it is the engine of this directory, PEM; null: it is spoken to in clear. */
export function readAuthority(nodeDir: string): string | null {
  try {
    return readFileSync(nodePaths(nodeDir).authority, 'utf8')
  } catch {
    return null
  }
}
