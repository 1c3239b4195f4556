// @ts-check
/** One fault under a write load, and what it looked like from outside: to a raw connection, and to a client. */
import { firstWrite } from './first-write.mjs'
import { delay, now } from './time.mjs'

/**
 * @typedef {import('./cluster.mjs').Shard} Shard
 *
 * @typedef {object} Target
 * @property {import('./cluster.mjs').Cluster} cluster
 * @property {(node: import('./cluster.mjs').Node) => Promise<number>} pidOf
 *
 * @typedef {object} Fault
 * @property {'SIGKILL' | 'SIGSTOP'} signal
 * @property {readonly Shard[]} shards The shards whose primaries it meets, all at once.
 * @property {number} withinMs How long to wait for writes.
 *
 * @typedef {object} Outcome
 * @property {number} at Wall clock of the fault.
 * @property {string[]} victims
 * @property {number | null} writableMs Until the last of these shards took a write; null: not in time.
 * @property {number | null} gapMs The longest time in which the client got no write of these shards acknowledged.
 * @property {number} acked
 * @property {number} failed
 * @property {number | null} lost Acknowledged and not there afterwards; null: nobody could be asked.
 */

/**
 * @param {Target} target
 * @param {import('./writer.mjs').Writer} writer
 * @param {Fault} fault
 * @returns {Promise<Outcome>}
 */
export async function breakAndWatch({ cluster, pidOf }, writer, { signal, shards, withinMs }) {
  const replicas = shards.map(({ replica, tag }) => ({ link: cluster.linkTo(replica), key: `{${tag}}:polled` }))
  const pids = await Promise.all(shards.map(({ primary }) => pidOf(primary)))
  await Promise.all(replicas.map(({ link }) => link.command(['PING'])))
  await writer.start(cluster, await cluster.shards())
  // The engines look at things ten times a second: the fault must not always come at the same moment of that.
  await delay(1000 + 200 * Math.random())
  const [since, at] = [now(), Date.now()]
  for (const pid of pids) process.kill(pid, signal)
  const written = await Promise.all(replicas.map(({ link, key }) => firstWrite(link, key, withinMs)))
  const lastWritten = written.includes(undefined) ? undefined : Math.max(...written.map((time) => time ?? 0))
  const until = lastWritten ?? now()
  const seen = await writer.finish({ since, until, withinMs: lastWritten === undefined ? 0 : withinMs })
  const tags = new Set(shards.map(({ tag }) => tag))
  const gaps = seen.filter(({ tag }) => tags.has(tag)).map(({ gapMs }) => gapMs)
  return {
    at,
    victims: shards.map(({ primary }) => primary.id),
    writableMs: lastWritten === undefined ? null : lastWritten - since,
    gapMs: gaps.includes(null) ? null : Math.max(...gaps.map((gap) => gap ?? 0)),
    acked: sum(seen.map(({ acked }) => acked)),
    failed: sum(seen.map(({ failed }) => failed)),
    lost: seen.some(({ lost }) => lost === null) ? null : sum(seen.map(({ lost }) => lost ?? 0)),
  }
}

/** @param {readonly number[]} values */
const sum = (values) => values.reduce((total, value) => total + value, 0)
