// @ts-check
/**
 * A backup and a restore of a million keys, about 500 MB: how long each takes, and whether keys, times to live and types
 * are the same afterwards. Beside ours, on the same engines and the same disk, what a script does: `redis-cli --rdb` of
 * every replica, one after another, and a copy of each file that an engine is started from.
 *
 * Ours holds a checksum and a trial load; the peer has neither, and its engines join no cluster.
 */
import { execFile, spawn } from 'node:child_process'
import { createHash, randomBytes, randomUUID } from 'node:crypto'
import { copyFileSync, mkdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { formatBytes, isUnfinished } from '@holdfast/core'
import { EngineLink } from '../packages/control/dist/engine/link.js'
import { tagOf } from '../packages/control/dist/ledger/probe.js'
import { Deployment } from './deployment.mjs'
import { freePorts, newDirectory, removeDirectory } from './place.mjs'
import { eventually, now } from './time.mjs'

const run = promisify(execFile)
const keysTotal = 1_000_000
const atOnce = 10_000
const sampleSize = 1000
const name = 'bench'

/** Values that do not compress, so that a byte of data is a byte of file; one key in five ends by itself. */
const fill = `
for i = tonumber(ARGV[2]), tonumber(ARGV[3]) do
  local key, at = ARGV[1] .. ':' .. i, (i * 7919) % 900000
  local value, kind = string.sub(ARGV[4], at + 1, at + 440), i % 10
  if kind < 7 then redis.call('SET', key, value)
  elseif kind == 7 then redis.call('HSET', key, 'a', string.sub(value, 1, 220), 'b', string.sub(value, 221))
  elseif kind == 8 then redis.call('RPUSH', key, string.sub(value, 1, 220), string.sub(value, 221))
  else redis.call('ZADD', key, i, string.sub(value, 1, 220), -i, string.sub(value, 221)) end
  if i % 5 == 0 then redis.call('EXPIRE', key, 100000 + i) end
end`

/** @param {import('./main.mjs').Bench} bench */
export async function benchBackup({ engine, say, runs = 3, quick = false }) {
  const deployment = new Deployment()
  const shelf = newDirectory('shelf')
  /** @type {Record<'backup' | 'files' | 'restore' | 'peerTake' | 'peerStart', number[]>} */
  const figures = { backup: [], files: [], restore: [], peerTake: [], peerStart: [] }
  let bytes = 0
  try {
    await deployment.startController()
    await deployment.create({ memory: { maxPerNode: '1gb', policy: 'noeviction' } })
    await fillAll(deployment, quick ? keysTotal / 100 : keysTotal, say)
    for (let at = 0; at < runs; at++) {
      const id = `run-${at}`
      const before = await digest(deployment)
      const tookMs = await until(deployment, () => deployment.api.askBackup(name, { id, to: shelf }))
      const { manifest } = await deployment.api.readBackup(join(shelf, id))
      bytes = manifest.files.reduce((sum, file) => sum + file.bytes, 0)
      const per100 = (/** @type {number} */ ms) => (ms * 100 * 1024 ** 2) / bytes
      figures.backup.push(per100(tookMs))
      figures.files.push(per100(manifest.finishedAt - manifest.startedAt))
      const peer = await onPeer(deployment, engine)
      figures.peerTake.push(per100(peer.takeMs))
      figures.peerStart.push(per100(peer.startMs))
      const wish = { id: randomUUID(), from: join(shelf, id), replace: name }
      figures.restore.push(per100(await until(deployment, () => deployment.api.askRestore(name, wish))))
      const after = await digest(deployment)
      if (after !== before) throw new Error(`run ${at}: what was restored is not what was backed up`)
      say(`run ${at + 1} of ${runs}: ${formatBytes(bytes)}, backup ${Math.round(tookMs)} ms, equal after the restore`)
      removeDirectory(join(shelf, id))
    }
  } finally {
    await deployment.remove()
    removeDirectory(shelf)
  }
  const unit = 'ms per 100 MB'
  const size = `${formatBytes(bytes)} in ${quick ? keysTotal / 100 : keysTotal} keys; keys, times to live and types equal`
  /** @type {import('./figures.mjs').Limit[]} */
  const limits = quick ? [] : [{ of: 'median', atMost: 1000 }]
  return {
    rows: [
      { what: 'backup, checksums and trial load included', unit, runs: figures.backup, note: size },
      { what: 'of that, until its files are there', unit, runs: figures.files, limits },
      { what: `redis-cli --rdb, bare ${engine.flavor}`, unit, runs: figures.peerTake },
      { what: 'restore, until all is ready and in sync', unit, runs: figures.restore, limits },
      { what: `copy and start, bare ${engine.flavor}, no replicas`, unit, runs: figures.peerStart },
    ],
    compare: /** @type {[number, number][]} */ ([
      [1, 2],
      [3, 4],
    ]),
  }
}

/**
 * @param {Deployment} deployment
 * @param {number} count
 * @param {(line: string) => void} say
 */
async function fillAll(deployment, count, say) {
  const { shards } = await deployment.api.status(name)
  const noise = randomBytes(1_000_000).toString('latin1')
  const each = Math.ceil(count / shards.length)
  await Promise.all(
    shards.map(async ({ primary, slots }) => {
      const link = deployment.cluster.linkTo(nodeOf(deployment, primary))
      for (let from = 1; from <= each; from += atOnce) {
        const to = Math.min(each, from + atOnce - 1)
        await link.command(['EVAL', fill, '0', tagOf(slots) ?? '', String(from), String(to), noise], 60_000)
      }
    }),
  )
  say(`${count} keys are there`)
}

/**
 * What a deployment holds, in short: how many keys and times to live, and of some of them type, time and value.
 *
 * @param {Deployment} deployment
 */
async function digest(deployment) {
  const hash = createHash('sha256')
  const { shards } = await deployment.ready()
  for (const { primary, slots } of shards) {
    const link = deployment.cluster.linkTo(nodeOf(deployment, primary))
    const [keyspace] = /keys=\d+,expires=\d+/.exec(String(await link.command(['INFO', 'keyspace'], 10_000))) ?? ['']
    hash.update(keyspace)
    for (let at = 1; at <= sampleSize; at++) {
      const key = `${tagOf(slots) ?? ''}:${at * 3}`
      const asked = [['TYPE', key], ['EXPIRETIME', key], readerOf(key, at * 3)]
      // A hash has no order of its own.
      hash.update(
        JSON.stringify(
          (await link.pipeline(asked, 10_000)).map((reply) =>
            [reply]
              .flat()
              .map(String)
              .sort((a, b) => (a < b ? -1 : 1)),
          ),
        ),
      )
    }
  }
  return hash.digest('hex')
}

/**
 * @param {string} key
 * @param {number} number Which decides its type.
 */
function readerOf(key, number) {
  const kind = number % 10
  if (kind < 7) return ['GET', key]
  if (kind === 7) return ['HGETALL', key]
  return kind === 8 ? ['LRANGE', key, '0', '-1'] : ['ZRANGE', key, '0', '-1', 'WITHSCORES']
}

/**
 * Asks, and waits until it is over, in ms.
 *
 * @param {Deployment} deployment
 * @param {() => Promise<import('@holdfast/core').Operation>} ask
 */
async function until(deployment, ask) {
  const startedAt = now()
  const { id } = await ask()
  const over = await eventually(
    async () => {
      const { operations } = await deployment.api.status(name)
      const seen = operations.find((one) => one.id === id)
      return seen === undefined || isUnfinished(seen) ? undefined : seen
    },
    { withinMs: 600_000, what: 'it is over' },
  )
  if (over.state !== 'done') throw new Error(over.because)
  return now() - startedAt
}

/**
 * The same by hand: the stream of a full sync into a file, and an engine started from a copy of it.
 *
 * @param {Deployment} deployment
 * @param {import('./bare-cluster.mjs').Engine} engine
 */
async function onPeer(deployment, engine) {
  const directory = newDirectory('peer')
  const { nodes, shards } = await deployment.ready()
  const { user, password } = deployment.adminOf()
  try {
    const startedAt = now()
    for (const { id, replicas } of shards) {
      const port = nodes.find((node) => node.id === replicas[0])?.port ?? 0
      const args = ['-p', String(port), '--user', user, '--pass', password, '--no-auth-warning']
      await run(engine.cli, [...args, '--rdb', join(directory, `${id}.rdb`)], {
        env: { ...process.env, ...engine.env },
      })
    }
    const takeMs = now() - startedAt
    const startMs = await startFrom(directory, shards, engine)
    return { takeMs, startMs }
  } finally {
    removeDirectory(directory)
  }
}

/**
 * @param {string} directory
 * @param {readonly { readonly id: string }[]} shards
 * @param {import('./bare-cluster.mjs').Engine} engine
 */
async function startFrom(directory, shards, engine) {
  const base = await freePorts(shards.length)
  const startedAt = now()
  await Promise.all(
    shards.map(async ({ id }, index) => {
      const dir = join(directory, id)
      mkdirSync(dir)
      copyFileSync(join(directory, `${id}.rdb`), join(dir, 'dump.rdb'))
      if (statSync(join(dir, 'dump.rdb')).size === 0) throw new Error(`${id}: redis-cli wrote nothing`)
      const port = base + index
      const args = ['--port', String(port), '--bind', '127.0.0.1', '--dir', dir, '--save', '']
      spawn(engine.server, args, { cwd: dir, env: { ...process.env, ...engine.env }, stdio: 'ignore' })
      const link = new EngineLink({ address: '127.0.0.1', port, username: '', password: '', name: 'bench' })
      await eventually(
        async () => String(await link.command(['INFO', 'persistence'])).includes('loading:0') || undefined,
        { withinMs: 120_000, what: `${id} loaded` },
      )
      link.close()
    }),
  )
  return now() - startedAt
}

/**
 * @param {Deployment} deployment
 * @param {string | null} id
 */
function nodeOf(deployment, id) {
  const node = deployment.cluster.nodes.find((one) => one.id === id)
  if (node === undefined) throw new Error(`there is no ${id}`)
  return node
}
