import type { Action, Endpoint } from '@holdfast/core'
import { HoldfastError, nodePaths, parseInfo, parseReplication } from '@holdfast/core'
import { loadUsers } from './access.ts'
import { dropFiles } from './data-files.ts'
import { writeConfig, writeSignIn, writeUsers } from './engine-process.ts'
import { handOver } from './hand-over.ts'
import { dropOldIdentities, writeIdentity } from './identity-files.ts'

/** A command to the engine of this action, let through the gate. */
export type Command = (args: readonly string[], withinMs?: number) => Promise<unknown>

export interface Admin {
  readonly username: string
  readonly password: string
  readonly authority?: () => string | null
}

export interface Surroundings {
  readonly nodeDir: string
  /** Who we are to the engines, and whom we believe. */
  readonly admin: Admin
  /** The engine has taken a directive: it is given from now on, whatever happens to us. */
  readonly taken: (directives: Readonly<Record<string, string>>) => void
  /** Asked before every command: whether the order still holds. */
  readonly gate: () => void
}

export type SentinelAction = Extract<
  Action,
  { kind: 'ask-sentinel' | 'watch' | 'set-sentinel' | 'unwatch' | 'reset-sentinel' }
>
type EngineAction = Exclude<
  Action,
  | {
      kind:
        | 'start'
        | 'stop'
        | 'fence'
        | 'fence-writes'
        | 'lift-fence'
        | 'purge'
        | 'close-sessions'
        | 'finish-move'
        | 'work'
        | 'end-work'
        | 'place'
        | 'receive'
        | 'clear-restore'
    }
  | SentinelAction
>

/** Words to the engine, for each action that is nothing else. Harmless when said twice. */
export async function changeEngine(action: EngineAction, command: Command, around: Surroundings): Promise<void> {
  switch (action.kind) {
    case 'replicate':
      await follow(action.primary, command)
      return
    case 'promote':
      await command(['REPLICAOF', 'NO', 'ONE'])
      return
    case 'set-priority':
      await command(['CONFIG', 'SET', 'replica-priority', String(action.priority)])
      return
    case 'failover':
      if (action.through !== undefined) return handOver(action.through, command, around)
      await command(['CLUSTER', 'FAILOVER', ...(action.mode === 'switchover' ? [] : [action.mode.toUpperCase()])])
      // Without it the election only begins later, so it may fail.
      if (action.mode === 'force') await hurryElection(command).catch(() => {})
      return
    case 'give-slots':
      if (action.epoch !== null) {
        // Only a node that knows nobody takes an epoch; one that was met meanwhile settles it with the others.
        await command(['CLUSTER', 'SET-CONFIG-EPOCH', String(action.epoch)]).catch(ignoreRefusal)
      }
      for (const [from, to] of action.slots) await addSlots(command, from, to)
      return
    case 'meet':
      for (const peer of action.peers) await command(['CLUSTER', 'MEET', peer.address, String(peer.port)])
      return
    case 'follow':
      await command(['CLUSTER', 'REPLICATE', action.primary])
      return
    case 'forget':
      for (const engineId of action.engineIds) await command(['CLUSTER', 'FORGET', engineId]).catch(ignoreUnknownNode)
      return
    case 'close-slot':
      await command(['CLUSTER', 'SETSLOT', String(action.slot), 'STABLE'])
      return
    case 'configure':
      writeIdentity(around.nodeDir, action.files)
      // The live value first: where the engine calls it wrong, the file stays as it was and the next start still works.
      around.taken(await setAll(action.set, command))
      writeConfig(around.nodeDir, action.files)
      dropOldIdentities(around.nodeDir, action.files)
      return
    case 'save':
      await command(['BGSAVE'])
      return
    case 'begin-log':
      await command(['CONFIG', 'SET', 'appendonly', 'yes'], 5000)
      return
    case 'end-log':
      await command(['CONFIG', 'SET', 'save', action.save])
      await command(['CONFIG', 'SET', 'appendonly', 'no'], 5000)
      dropFiles(nodePaths(around.nodeDir).data, 'aof')
      return
    case 'drop-files':
      await refuseFilesInUse(action.what, command)
      dropFiles(nodePaths(around.nodeDir).data, action.what)
      return
    case 'load-users':
      await loadUsers(action.files.users, command)
      writeUsers(around.nodeDir, action.files)
      return
    case 'sign-in':
      await command(['CONFIG', 'SET', 'masterauth', action.password])
      writeSignIn(around.nodeDir, action.password)
      return
    case 'renew-link':
      // Whoever is primary by now has no such link, and nothing happens.
      await command(['CLIENT', 'KILL', 'TYPE', 'master'])
      return
    case 'reload':
    case 'point':
      throw new HoldfastError('USAGE', `${action.node} is no proxy`)
    default:
      return action satisfies never
  }
}

/** Sets them, and answers what was taken. What cannot be changed while it runs waits for the next start. */
async function setAll(set: Readonly<Record<string, string>>, command: Command): Promise<Record<string, string>> {
  const taken: Record<string, string> = {}
  // A certificate without its key is refused, so these are set in one.
  const [secured, others] = [true, false].map((wanted) =>
    Object.entries(set).filter(([name]) => name.startsWith('tls-') === wanted),
  )
  for (const together of [secured ?? [], ...(others ?? []).map((one) => [one])]) {
    const [first] = together
    if (first === undefined) continue
    try {
      await command(['CONFIG', 'SET', ...together.flat()], 5000)
      Object.assign(taken, Object.fromEntries(together))
    } catch (error) {
      if (!(await isFixed(first[0], error, command))) throw error
    }
  }
  return taken
}

/** The engine has the directive and does not change it. Before Redis 7 it says the same of one that it does not have. */
async function isFixed(name: string, error: unknown, command: Command): Promise<boolean> {
  if (!(error instanceof HoldfastError) || error.code !== 'ENGINE_REFUSED') return false
  // Before Redis 7 an engine takes one directive at a time, and so no certificate with its key.
  if (/immutable|wrong number of arguments/i.test(error.message)) return true
  if (!/unsupported config/i.test(error.message)) return false
  const pair = await command(['CONFIG', 'GET', name])
  return Array.isArray(pair) && pair.length > 0
}

/** The last look may be old: what the engine uses now is asked right before its files go. */
async function refuseFilesInUse(what: 'aof' | 'rdb', command: Command): Promise<void> {
  for (const name of what === 'aof' ? ['appendonly'] : ['appendonly', 'save']) {
    const pair = await command(['CONFIG', 'GET', name])
    const value = Array.isArray(pair) ? String(pair[1]) : '?'
    if (value === 'no' || value === '') continue
    throw new HoldfastError('REFUSED_UNSAFE', `${name} is "${value}": these files are in use`, { name, value })
  }
}

/**
 * Who wrote to a primary that was one no more stays connected to it, and is refused, or waits, for as long as he does not
 * ask again who the primary is. So its clients are dropped; and let go, where a switchover was cut off that held them back.
 */
async function follow({ address, port }: Endpoint, command: Command): Promise<void> {
  const { role } = parseReplication(parseInfo(String(await command(['INFO', 'replication']))))
  await command(['REPLICAOF', address, String(port)])
  if (role === 'replica') return
  await command(['CLIENT', 'KILL', 'TYPE', 'normal'])
  await command(['CLIENT', 'UNPAUSE'])
}

/**
 * An engine begins an election in its cluster tick. That comes every 100 ms, whatever `hz` is: the engine counts the
 * rounds of its timer, `hz` of them a second, and takes every round while `hz` is 10. So with a quick timer running, a
 * slow `hz` makes the next round, at most 20 ms away, one with the tick. It comes after the request: a round in between
 * would otherwise be the last one for 100 ms. The quick timer is put back a second later; where that fails, since this
 * process was killed or its epoch is over, it is drift, and put back as such.
 */
async function hurryElection(command: Command): Promise<void> {
  const reply = await command(['CONFIG', 'GET', 'hz'])
  const hz = Array.isArray(reply) ? Number(reply[1]) : 0
  if (!(hz > 10)) return
  await command(['CONFIG', 'SET', 'hz', '10'])
  const putBack = () => command(['CONFIG', 'SET', 'hz', String(hz)]).catch(() => {})
  setTimeout(() => void putBack(), 1000).unref()
}

/** By range where the engine knows that (Redis 7, Valkey), else slot by slot. */
async function addSlots(command: Command, from: number, to: number): Promise<void> {
  try {
    await command(['CLUSTER', 'ADDSLOTSRANGE', String(from), String(to)])
  } catch (error) {
    if (!saysUnknownCommand(error)) throw error
    const slots = Array.from({ length: to - from + 1 }, (_, index) => String(from + index))
    await command(['CLUSTER', 'ADDSLOTS', ...slots])
  }
}

const saysUnknownCommand = (error: unknown): boolean =>
  error instanceof HoldfastError && /unknown (sub)?command/i.test(error.message)

function ignoreRefusal(error: unknown): void {
  if (!(error instanceof HoldfastError) || error.code !== 'ENGINE_REFUSED') throw error
}

function ignoreUnknownNode(error: unknown): void {
  if (!(error instanceof HoldfastError) || !/unknown node/i.test(error.message)) throw error
}

/** Words to a Sentinel. */
export async function changeSentinel(
  action: SentinelAction | Extract<Action, { kind: 'sign-in' }>,
  command: Command,
): Promise<void> {
  switch (action.kind) {
    case 'ask-sentinel':
      await command(['SENTINEL', 'FAILOVER', action.name])
      return
    case 'watch': {
      const { name, primary, settings } = action
      await command(['SENTINEL', 'MONITOR', name, primary.address, String(primary.port), settings['quorum'] ?? ''])
      await command(['SENTINEL', 'SET', name, ...Object.entries(settings).flat()])
      return
    }
    case 'set-sentinel':
      await command(['SENTINEL', 'SET', action.name, ...Object.entries(action.settings).flat()])
      return
    case 'sign-in':
      await command(['SENTINEL', 'CONFIG', 'SET', 'sentinel-pass', action.password])
      await command(['SENTINEL', 'SET', action.name, 'auth-pass', action.password])
      return
    case 'unwatch':
      await command(['SENTINEL', 'REMOVE', action.name])
      return
    case 'reset-sentinel':
      await command(['SENTINEL', 'RESET', action.name])
      return
    default:
      return action satisfies never
  }
}
