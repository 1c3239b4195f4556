import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Action } from '@holdfast/core'
import { localHostId } from '@holdfast/core'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { systemClock } from '../../src/clock.ts'
import { LocalHost } from '../../src/host/local.ts'

const place = { id: 'node-1', shard: 'shard-1', host: localHostId, address: '127.0.0.1', port: 1 }
/** Nobody listens on that port: the agent obeys, and then cannot do it. */
const impossible: Action = { kind: 'close-slot', node: 'node-1', slot: 0 }

let root: string
let stranger: ReturnType<typeof spawn>
let host: LocalHost

beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), 'holdfast-adopt-'))
  const data = join(root, 'node-1', 'data')
  mkdirSync(data, { recursive: true })
  stranger = spawn('sleep', ['60'], { cwd: data, stdio: 'ignore' })
  await once(stranger, 'spawn')
  host = new LocalHost({
    id: localHostId,
    clock: systemClock,
    binary: () => Promise.reject(new Error('nothing is started here')),
    proxyProgram: () => Promise.reject(new Error('nothing is started here')),
    memoryDir: join(root, 'agent'),
    nodeDir: (_, node) => join(root, node),
    admin: () => ({ username: 'admin', password: '' }),
    ownedDirectives: () => [],
  })
})
afterEach(() => {
  host.close()
  stranger.kill('SIGKILL')
  rmSync(root, { recursive: true, force: true })
})

const pidSeen = async (): Promise<number | undefined> => {
  const process = (await host.look('shop', [place])).get('node-1')?.process
  return process?.state === 'running' ? process.pid : undefined
}

// A controller that is killed between starting an engine and writing that down leaves one that only its directory tells of.
test('an engine found by its directory is still known after the first order of an epoch', async () => {
  expect(await pidSeen()).toBe(stranger.pid)
  const envelope = { deployment: 'shop', controllerEpoch: 1, notAfter: host.now() + 10_000, action: impossible }
  await expect(host.act(envelope)).rejects.toMatchObject({ code: 'UNREACHABLE_ENGINE' })
  expect(await pidSeen()).toBe(stranger.pid)
})

test.each([
  ['a frozen one counts as the kill of its shard', undefined, true],
  ['one that somebody else has started does not', true as const, false],
])('ending an engine: %s', async (_, stray, counts) => {
  const process = (await host.look('shop', [place])).get('node-1')?.process
  if (process?.state !== 'running') throw new Error('it does not run')
  const { pid, startTime } = process
  const action: Action = { kind: 'fence', node: 'node-1', pid, startTime, ...(stray === undefined ? {} : { stray }) }
  const ended = once(stranger, 'exit')
  await host.act({ deployment: 'shop', controllerEpoch: 1, notAfter: host.now() + 10_000, action })
  expect(await ended).toEqual([null, 'SIGKILL'])
  expect((await host.look('shop', [place])).get('node-1')?.fencedAt !== null).toBe(counts)
})
