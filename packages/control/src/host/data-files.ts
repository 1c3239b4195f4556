import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import type { DataFiles } from '@holdfast/core'

/** What a data directory holds: heads of files, never their contents. */
export function readDataFiles(directory: string): DataFiles & { readonly claimsSlots: boolean } {
  const claim = readClaim(join(directory, 'nodes.conf'))
  return {
    aof: hasAppendOnlyFile(directory),
    rdb: sizeOf(join(directory, 'dump.rdb')) > 0,
    claim: claim?.claim ?? null,
    claimsSlots: claim?.claimsSlots ?? false,
  }
}

/** Who the node of this directory was, and whether it owned slots. */
export function readOwnClaim(directory: string): { claim: DataFiles['claim']; claimsSlots: boolean } {
  return readClaim(join(directory, 'nodes.conf')) ?? { claim: null, claimsSlots: false }
}

/** A manifest whose files are all there, or the single file of engines before Redis 7. */
function hasAppendOnlyFile(directory: string): boolean {
  const inside = join(directory, 'appendonlydir')
  const manifest = listOf(inside).find((file) => file.endsWith('.manifest'))
  if (manifest === undefined) return sizeOf(join(directory, 'appendonly.aof')) >= 0
  const files = [...readText(join(inside, manifest)).matchAll(/^file (\S+) seq \d+ type [bi]/gm)].map(
    ([, file]) => file,
  )
  return files.length > 0 && files.every((file) => sizeOf(join(inside, file ?? '')) >= 0)
}

/** The node's own line in nodes.conf: who it was, and whether it owned slots. */
function readClaim(path: string): { claim: NonNullable<DataFiles['claim']>; claimsSlots: boolean } | null {
  const line = readText(path)
    .split('\n')
    .find((text) => text.includes('myself'))
  const fields = line?.split(' ') ?? []
  const [engineId, , flags, , , , epoch] = fields
  if (engineId === undefined || flags === undefined || epoch === undefined) return null
  const role = flags.includes('slave') ? 'replica' : 'primary'
  return {
    claim: { engineId, role, configEpoch: Number(epoch) },
    claimsSlots: fields.slice(8).some((slot) => /^\d/.test(slot)),
  }
}

function listOf(directory: string): string[] {
  try {
    return readdirSync(directory)
  } catch {
    return []
  }
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}

/** -1 where there is no file. */
function sizeOf(path: string): number {
  try {
    return statSync(path).size
  } catch {
    return -1
  }
}
