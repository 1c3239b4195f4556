import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Backup, Document, Status } from '@holdfast/core'
import { ended, transferFor } from '@holdfast/core'
import { pino } from 'pino'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { BackupDesk } from '../src/backup-desk.ts'
import { systemClock } from '../src/clock.ts'
import { homeAt } from '../src/store/home.ts'

const hosts = [{ name: 'a', address: '10.0.0.1' }]

/** One of several controllers, at 10.0.0.2. */
describe('backups where there are several controllers', () => {
  let path = ''
  beforeEach(() => {
    path = mkdtempSync(join(tmpdir(), 'holdfast-desk-'))
  })
  afterEach(() => rmSync(path, { recursive: true }))

  function desk(operations: readonly Backup[], lease: Status['controller']['lease']): BackupDesk {
    const spec = { name: 'shop', hosts, shards: 1, topology: 'standalone', replicasPerShard: 0 }
    return new BackupDesk({
      home: homeAt(path),
      clock: systemClock,
      log: pino({ level: 'silent' }) as never,
      operations: { askTransfer: async () => Promise.reject(new Error('asked')) } as never,
      names: () => ['shop'],
      document: () => ({ name: 'shop', spec, operations }) as unknown as Document,
      status: () => ({ controller: { id: 'other-1', epoch: 3, lease } }) as Status,
      shelf: { look: () => ({ at: '10.0.0.2', jobs: [] }) },
      binary: () => Promise.reject(new Error('nothing is started here')),
    })
  }

  const taken = (id: string, at: string | null): Backup => {
    const wish = { kind: 'backup', id, subject: 'shop', directory: '/far/shop', keep: 7 } as const
    return { ...ended(transferFor(wish, 'schedule', 1) as Backup, 'done', 'done', 5000), at }
  }

  test('those of another one are told of, with the machine that they are on', () => {
    const { at, backups, elsewhere } = desk([taken('one', '10.0.0.1'), taken('two', '10.0.0.2')], 'held').list('shop')
    expect({ at, backups }).toEqual({ at: '10.0.0.2', backups: [] })
    expect(elsewhere).toEqual([{ id: 'one', at: '10.0.0.1', directory: '/far/shop', finishedAt: 5000 }])
  })

  test('none is taken or restored by the one that stands by: its files would be on another machine', async () => {
    const standingBy = desk([], 'lost')
    const refused = { code: 'REFUSED_UNSAFE', message: expect.stringContaining('other-1') }
    await expect(standingBy.ask('shop', { id: 'x', to: null }, 'admin')).rejects.toMatchObject(refused)
    await expect(standingBy.previewRestore('shop', '/x')).rejects.toMatchObject(refused)
    await expect(desk([], 'held').ask('shop', { id: 'x', to: null }, 'admin')).rejects.toThrow('asked')
  })
})
