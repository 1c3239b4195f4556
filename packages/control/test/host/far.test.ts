/* What is brought from one machine to another: the same whether its agent is here or behind its door. */
import { createHash, randomBytes } from 'node:crypto'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { BackupFile, NodePlace } from '@holdfast/core'
import { HoldfastError } from '@holdfast/core'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { aFile } from '../../../core/test/backup/a-manifest.ts'
import { systemClock } from '../../src/clock.ts'
import { collectPart } from '../../src/host/backup/collect.ts'
import { Far, pieceBytes } from '../../src/host/backup/far.ts'
import { fetchFile } from '../../src/host/backup/fetch.ts'
import { restorePaths } from '../../src/host/backup/paths.ts'
import { sendFile } from '../../src/host/backup/send.ts'
import type { HostPort } from '../../src/host/host.ts'
import { LocalHost } from '../../src/host/local.ts'
import { serveAgent } from '../agent/agent.ts'

const node: NodePlace = { id: 'node-1', shard: 'shard-1', host: 'a', address: '127.0.0.1', port: 1 }
const data = randomBytes(pieceBytes + 17)
const record: BackupFile = { ...aFile(1, [[0, 16383]]), bytes: data.length, sha256: shaOf(data) }

function shaOf(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex')
}

describe.each(['of this machine', 'behind its door'])('the agent %s', (where) => {
  let directory = ''
  let local: LocalHost
  let host: HostPort
  let close: () => Promise<void> = async () => {}

  beforeEach(async () => {
    directory = mkdtempSync(join(tmpdir(), 'holdfast-far-'))
    local = new LocalHost({
      id: 'a',
      clock: systemClock,
      binary: () => Promise.reject(new Error('nothing is started here')),
      proxyProgram: () => Promise.reject(new Error('nothing is started here')),
      memoryDir: join(directory, 'agent'),
      nodeDir: (_, id) => join(directory, id),
      admin: () => ({ username: 'admin', password: 'secret' }),
      ownedDirectives: () => [],
    })
    mkdirSync(join(directory, 'node-1'))
    host = local
    if (where === 'behind its door') {
      const agent = await serveAgent(local, systemClock)
      host = agent.reach()
      close = () => agent.close()
    }
    await expect.poll(() => host.look('shop', [node]).then(Boolean, () => false), { timeout: 10_000 }).toBe(true)
  })
  afterEach(async () => {
    await close()
    local.close()
    rmSync(directory, { recursive: true })
  })

  const shelf = (): string => join(directory, 'shelf')
  const far = (epoch = 1, through: HostPort = host): Far =>
    new Far({ deployment: 'shop', hosts: new Map([['a', through]]), clock: systemClock, epoch: () => epoch })
  const watch = { guard: () => {}, progress: () => {} }

  const collect = (through = host): Promise<string> => {
    const of = { backup: 'b1', shard: 'shard-1', host: 'a', node: 'node-1' }
    const job = { kind: 'collect', id: 'b1/collect-shard-1', directory: shelf(), ...of } as const
    return collectPart(job, { far: far(1, through), writer: 'w' }, watch)
  }

  function leaveSnapshot(bytes = data): void {
    const part = join(directory, 'node-1', 'backup', '.b1.part')
    mkdirSync(part, { recursive: true })
    writeFileSync(join(part, record.file), bytes)
    writeFileSync(join(part, 'shard-1.json'), JSON.stringify(record))
  }

  test('gives a snapshot that lies beside a node, whole', async () => {
    leaveSnapshot()
    await collect()
    const part = join(shelf(), '.b1.part')
    expect(readdirSync(part).sort()).toEqual(['shard-1.json', 'shard-1.rdb'])
    expect(shaOf(readFileSync(join(part, 'shard-1.rdb')))).toBe(record.sha256)
  })

  test('not a snapshot that changed since it was taken: nothing of it is kept', async () => {
    const changed = Buffer.from(data)
    changed[5] = (changed[5] ?? 0) ^ 1
    leaveSnapshot(changed)
    const collecting = collect()
    await expect(collecting).rejects.toMatchObject({
      code: 'BACKUP_DAMAGED',
      message: expect.stringContaining('host a'),
    })
    expect(readdirSync(join(shelf(), '.b1.part'))).toEqual([])
  })

  test('not one that is cut short, or gone', async () => {
    const damaged = { code: 'BACKUP_DAMAGED' }
    await expect(collect()).rejects.toMatchObject(damaged)
    leaveSnapshot(data.subarray(0, pieceBytes))
    await expect(collect()).rejects.toMatchObject(damaged)
  })

  test.each(['../../../etc', '', '.', 'a/b'])('nothing by a name that is none: %j', async (name) => {
    const asked = { deployment: 'shop', node: 'node-1', backup: name, shard: 'shard-1', what: 'data', at: 0 } as const
    await expect(host.readPart(asked)).rejects.toMatchObject({ code: 'USAGE' })
    const action = { kind: 'receive', node: 'node-1', restore: name, at: 0, of: 1, piece: Buffer.from('x') } as const
    const late = { deployment: 'shop', controllerEpoch: 1, notAfter: host.now() + 10_000, action }
    await expect(host.act(late)).rejects.toMatchObject({ code: 'USAGE' })
  })

  test('goes on where it was when it has been away for a moment', async () => {
    leaveSnapshot()
    const away = new Stuttering(host, 2)
    await collect(away.port)
    expect(shaOf(readFileSync(join(shelf(), '.b1.part', 'shard-1.rdb')))).toBe(record.sha256)
    expect(away.asked).toBe(1 + 2 + 2)
  })

  const send = (through = host, epoch = 1): Promise<string> => {
    mkdirSync(shelf(), { recursive: true })
    writeFileSync(join(shelf(), record.file), data)
    const job = {
      kind: 'send',
      id: 'r1/send',
      restore: 'r1',
      from: shelf(),
      file: record,
      host: 'a',
      node: 'node-1',
    } as const
    return sendFile(job, far(epoch, through), watch)
  }
  const paths = () => restorePaths(join(directory, 'node-1'))
  const check = (): Promise<string> => {
    const binary = { flavor: 'redis', version: '7.0.15', server: '', cli: '', source: 'path', env: {} } as never
    const job = { kind: 'fetch', id: 'r1/shard-1', restore: 'r1', from: null, file: record, trial: false } as const
    return fetchFile(job, { nodeDir: join(directory, 'node-1'), binary, scratch: '', writer: 'w' }, watch)
  }

  test('takes the file that a node shall start from, and keeps it once its checksum is as it should be', async () => {
    await send()
    expect(existsSync(paths().fetchedFile('r1'))).toBe(false)
    await check()
    expect(shaOf(readFileSync(paths().fetchedFile('r1')))).toBe(record.sha256)
    expect(existsSync(paths().arrivingFile('r1'))).toBe(false)
  })

  test('keeps nothing of a file that arrived damaged, or in part', async () => {
    await send()
    truncateSync(paths().arrivingFile('r1'), pieceBytes)
    await expect(check()).rejects.toMatchObject({ code: 'BACKUP_DAMAGED' })
    expect(readdirSync(paths().fetched)).toEqual([])
    await expect(check()).rejects.toMatchObject({ code: 'BACKUP_DAMAGED' })
  })

  test('takes nothing from a controller whose epoch is over', async () => {
    await send(host, 5)
    await expect(send(host, 4)).rejects.toMatchObject({ code: 'REFUSED_STALE_EPOCH' })
  })
})

/** Does not answer every second time. */
class Stuttering {
  asked = 0
  readonly port: HostPort

  constructor(host: HostPort, every: number) {
    const readPart: HostPort['readPart'] = async (asked) => {
      this.asked++
      if (this.asked % every === 0) throw new HoldfastError('UNREACHABLE_AGENT', 'it is away')
      return host.readPart(asked)
    }
    this.port = { ...host, id: host.id, now: () => host.now(), readPart }
  }
}
