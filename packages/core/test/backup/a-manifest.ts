import type { BackupFile, Manifest } from '../../src/index.ts'
import { evenSlots } from '../../src/index.ts'

const redis7 = { flavor: 'redis', version: '7.0.15' } as const

export function aFile(number: number, slots: [number, number][], change: Partial<BackupFile> = {}): BackupFile {
  return {
    shard: `shard-${number}`,
    file: `shard-${number}.rdb`,
    bytes: 1000,
    sha256: String(number).repeat(64),
    slots,
    rdb: { format: 'REDIS', version: 10 },
    keys: 100,
    ttls: 10,
    replid: 'a'.repeat(40),
    offset: 5000,
    memoryBytes: 2_000_000,
    takenFrom: { node: `node-${number + 3}`, role: 'replica', engine: redis7, at: 1_700_000_000_000 },
    ...change,
  }
}

/** Of three shards with even shares. */
export function aManifest(change: Partial<Manifest> = {}): Manifest {
  return {
    manifestVersion: 1,
    id: '20261130T031500Z-a1b2',
    deployment: 'shop',
    topology: 'cluster',
    requestedBy: 'admin',
    startedAt: 1_700_000_000_000,
    finishedAt: 1_700_000_004_000,
    engine: redis7,
    spec: { name: 'shop' },
    files: evenSlots(3).map(([from, to], index) => aFile(index + 1, [[from, to]])),
    ...change,
  }
}
