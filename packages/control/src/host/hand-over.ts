/**
 * A planned change of primary where Sentinels watch, without losing a write that was acknowledged.
 *
 * A plain `SENTINEL FAILOVER` of a living primary loses most of what is acknowledged around it: clients that are
 * connected to the old one go on writing there, for seconds, until a Sentinel makes it a replica. So the writers are held
 * back first, and let go only when the old primary follows the new one:
 *
 *   CLIENT PAUSE … WRITE on the old one · wait until the replica has all of it · SENTINEL FAILOVER at one Sentinel ·
 *   wait until the replica says to be the primary · REPLICAOF on the old one · wait until all Sentinels tell of the
 *   new one · drop the clients of the old one, who then ask any of them and find it
 *
 * Valkey from 9.0 does something alike by itself (`SENTINEL FAILOVER … COORDINATED`), and is not asked to: its Sentinels
 * vote before it begins, so the moment would not be ours, and their user would have to be allowed FAILOVER.
 *
 * Cut off anywhere, it is safe: the pause ends by its own time, and should the replica have been promoted by then, the
 * next turn finds two primaries and lets the old one follow.
 */
import { setTimeout as delay } from 'node:timers/promises'
import type { Endpoint, Passage } from '@holdfast/core'
import { HoldfastError, parseInfo, parseReplication } from '@holdfast/core'
import { EngineLink } from '../engine/link.ts'
import type { Command, Surroundings } from './change-engine.ts'

/** Longer than all of it takes: who dies in the middle leaves the writers waiting for so long. */
const pauseMs = 10_000
const caughtUpWithinMs = 1000
const promotedWithinMs = 3000
/** A Sentinel looks once a second whether its replica was promoted. */
const toldWithinMs = 3000
const pollMs = 5

/** `command` speaks to the replica that shall be the primary. */
export async function handOver(
  { name, from, to, sentinel, others }: Passage,
  command: Command,
  { admin, gate }: Surroundings,
): Promise<void> {
  const links: EngineLink[] = []
  const speakTo = ({ address, port }: Endpoint): Command => {
    const link = new EngineLink({ ...admin, address, port, name: 'holdfast-agent' })
    links.push(link)
    return (args, withinMs) => {
      gate()
      return link.command(args, withinMs)
    }
  }
  try {
    const [old, watcher] = [speakTo(from), speakTo(sentinel)]
    const role = async (of: Command) => parseReplication(parseInfo(String(await of(['INFO', 'replication']))))
    await old(['CLIENT', 'PAUSE', String(pauseMs), 'WRITE'])
    try {
      const { replid, offset } = await role(old)
      await until(
        async () => {
          const copy = await role(command)
          return copy.replid === replid && copy.link?.state === 'up' && copy.offset >= offset
        },
        caughtUpWithinMs,
        'it did not catch up while the writers waited',
      )
      await watcher(['SENTINEL', 'FAILOVER', name])
    } catch (error) {
      // Nothing was asked of the Sentinel, or it refused: the old primary stays what it is.
      await old(['CLIENT', 'UNPAUSE'])
      throw error
    }
    await until(async () => (await role(command)).role === 'primary', promotedWithinMs, 'it was not promoted')
    await old(['REPLICAOF', to.address, String(to.port)])
    // Who is told of the old one connects to it again and stays there, as a writer at a replica.
    const all = [watcher, ...others.map(speakTo)]
    const told = async () => (await Promise.all(all.map((one) => tellsOf(one, name, to)))).every(Boolean)
    await until(told, toldWithinMs, 'not all Sentinels tell of it').catch(() => {})
    await old(['CLIENT', 'KILL', 'TYPE', 'normal'])
    await old(['CLIENT', 'UNPAUSE'])
  } finally {
    for (const link of links) link.close()
  }
}

/** One that does not answer tells nobody else either. */
async function tellsOf(watcher: Command, name: string, heir: Endpoint): Promise<boolean> {
  const told = await watcher(['SENTINEL', 'GET-MASTER-ADDR-BY-NAME', name], 300).catch(() => null)
  if (told === null) return true
  return Array.isArray(told) && String(told[0]) === heir.address && Number(told[1]) === heir.port
}

/** A Sentinel drops all clients of whom it gives another role, us too: then the next question opens another connection. */
function notYet(error: unknown): false {
  if (error instanceof HoldfastError && error.code === 'UNREACHABLE_ENGINE') return false
  throw error
}

async function until(isSo: () => Promise<boolean>, withinMs: number, otherwise: string): Promise<void> {
  const deadline = performance.now() + withinMs
  while (!(await isSo().catch(notYet))) {
    if (performance.now() > deadline)
      throw new HoldfastError('ENGINE_REFUSED', `switchover: ${otherwise} in ${withinMs} ms`)
    // oxlint-disable-next-line no-await-in-loop
    await delay(pollMs)
  }
}
