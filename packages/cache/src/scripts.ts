/**
 * What has to happen in one step in the engine. Each script names the keys that it touches, all of one slot, and none
 * writes what it was not asked to, so that a replay after a lost answer changes nothing more.
 *
 * The lock of a load is in the entry itself: a missing key gets a short entry of kind `loading` that holds nothing but
 * the token, a stale one has room for it in its head. So a lock lies in the slot of its key, goes with it, and whoever
 * deletes or overwrites the key bars a load that began before: its token is gone.
 */
import type { Argument } from './engine/engine.ts'
import { defineScript, type ScriptWorld } from './engine/script.ts'
import { envelopeAt } from './envelope.ts'

/** Places in the envelope, first and last byte, as `GETRANGE` and `SETRANGE` count them. */
const at = {
  kind: envelopeAt.kind,
  version: envelopeAt.version,
  versionEnd: envelopeAt.version + 7,
  sourceVersion: envelopeAt.sourceVersion,
  sourceVersionEnd: envelopeAt.sourceVersion + 7,
  token: envelopeAt.lockToken,
  tokenEnd: envelopeAt.lockToken + 7,
  until: envelopeAt.lockUntil,
  untilEnd: envelopeAt.lockUntil + 7,
} as const
const loading = 2

/** For how long a lock outlives the last sign of life of whoever loads. */
export const lockMs = 2000

/** Eight bytes of a double, as the envelope has them. */
export function doubleBytes(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(8)
  bytes.writeDoubleLE(value)
  return bytes
}

/** An entry that is locked does not end under its lock: else another takes the lock of what is missing. */
const outliveLock = (ms: string): string => `
local left = redis.call('PTTL', key)
if left >= 0 and left < tonumber(${ms}) then redis.call('PEXPIRE', key, ${ms}) end`

function outlive(world: ScriptWorld, key: string, ms: Argument): void {
  const left = Number(world.call('PTTL', key))
  if (left >= 0 && left < Number(ms)) world.call('PEXPIRE', key, ms)
}

const noToken = doubleBytes(0)

function range(world: ScriptWorld, key: string, from: number, to: number): Buffer {
  return world.call('GETRANGE', key, String(from), String(to)) as Buffer
}

/** What a command answers, or false where the engine refuses it: out of memory, a replica, another type. */
function attempt(world: ScriptWorld, ...command: Argument[]): unknown {
  try {
    return world.call(...command)
  } catch {
    return false
  }
}

/**
 * Reads, and where there is nothing takes the lock in the same step. Keys: any. Arguments: the `loading` entry with our
 * token, for how many ms. Answers for each key its bytes; 1: missing, the lock is ours; 0: missing, and no lock, because
 * the engine takes no writes or the key is no string, which MGET takes for missing and NX does not. One MGET for all keys:
 * with a GET for each there are a fifth fewer hits a second.
 */
export const readOrLock = defineScript({
  name: 'read-or-lock',
  lua: `
local found = redis.pcall('MGET', unpack(KEYS))
local refused = found.err
for i, key in ipairs(KEYS) do
  if refused then
    found[i] = 0
  elseif not found[i] then
    local set = redis.pcall('SET', key, ARGV[1], 'PX', ARGV[2], 'NX')
    found[i] = type(set) == 'table' and set.ok and 1 or 0
  end
end
found.err = nil
return found`,
  inMemory(world, keys, args) {
    return keys.map((key) => {
      const value = attempt(world, 'GET', key)
      if (Buffer.isBuffer(value)) return value
      if (value === false) return 0
      const [marker, ms] = [args[0] as Buffer, args[1] as Buffer]
      return attempt(world, 'SET', key, marker, 'PX', ms, 'NX') ? 1 : 0
    })
  },
})

/**
 * Takes the lock of an entry that is there. Key: one. Arguments: the `loading` entry, our token, for how many ms.
 * Answers 1: ours, the entry stays readable; 2: the entry had gone, the lock is ours; 0: somebody else has it; -1: the
 * engine takes no writes.
 */
export const lockEntry = defineScript({
  name: 'lock-entry',
  lua: `
local key = KEYS[1]
local token = redis.call('GETRANGE', key, ${at.token}, ${at.tokenEnd})
if #token < 8 then
  local set = redis.pcall('SET', key, ARGV[1], 'PX', ARGV[3], 'NX')
  return type(set) == 'table' and set.ok and 2 or 0
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local held = redis.call('GETRANGE', key, ${at.until}, ${at.untilEnd})
if #held < 8 then return 0 end
if token ~= '\\0\\0\\0\\0\\0\\0\\0\\0' and token ~= ARGV[2] and struct.unpack('<d', held) > now then return 0 end
local set = redis.pcall('SETRANGE', key, ${at.token}, ARGV[2] .. struct.pack('<d', now + ARGV[3]))
if type(set) ~= 'number' then return -1 end${outliveLock('ARGV[3]')}
return 1`,
  inMemory(world, [key = ''], [marker, token, ms]) {
    const held = range(world, key, at.token, at.tokenEnd)
    if (held.length < 8) return attempt(world, 'SET', key, marker as Buffer, 'PX', ms as Buffer, 'NX') ? 2 : 0
    const until = range(world, key, at.until, at.untilEnd)
    if (until.length < 8) return 0
    const isFree = held.equals(noToken) || held.equals(token as Buffer) || until.readDoubleLE() <= world.nowMs()
    if (!isFree) return 0
    const ours = Buffer.concat([token as Buffer, doubleBytes(world.nowMs() + Number(ms))])
    if (attempt(world, 'SETRANGE', key, String(at.token), ours) === false) return -1
    outlive(world, key, ms as Buffer)
    return 1
  },
})

/**
 * Writes what was loaded, if the lock is still ours: nobody deleted or overwrote the key, or took the lock over, since
 * the load began. Key: one. Arguments: the entry, our token, for how many ms it is kept (0: for ever). Answers 1 or 0.
 */
export const fillEntry = defineScript({
  name: 'fill-entry',
  lua: `
if redis.call('GETRANGE', KEYS[1], ${at.token}, ${at.tokenEnd}) ~= ARGV[2] then return 0 end
if ARGV[3] == '0' then redis.call('SET', KEYS[1], ARGV[1]) else redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[3]) end
return 1`,
  inMemory(world, [key = ''], [entry, token, ms]) {
    if (!range(world, key, at.token, at.tokenEnd).equals(token as Buffer)) return 0
    const keep = String(ms) === '0' ? [] : ['PX', String(ms)]
    world.call('SET', key, entry as Buffer, ...keep)
    return 1
  },
})

/** Keeps the lock while the load goes on. Key: one. Arguments: our token, for how many ms from now. Answers 1 or 0. */
export const renewLock = defineScript({
  name: 'renew-lock',
  lua: `
local key = KEYS[1]
if redis.call('GETRANGE', key, ${at.token}, ${at.tokenEnd}) ~= ARGV[1] then return 0 end
if redis.call('GETRANGE', key, ${at.kind}, ${at.kind}) == '\\${loading}' then
  redis.call('PEXPIRE', key, ARGV[2])
else
  local time = redis.call('TIME')
  local now = time[1] * 1000 + math.floor(time[2] / 1000)
  redis.call('SETRANGE', key, ${at.until}, struct.pack('<d', now + ARGV[2]))${outliveLock('ARGV[2]')}
end
return 1`,
  inMemory(world, [key = ''], [token, ms]) {
    if (!range(world, key, at.token, at.tokenEnd).equals(token as Buffer)) return 0
    if (range(world, key, at.kind, at.kind)[0] === loading) world.call('PEXPIRE', key, ms as Buffer)
    else {
      world.call('SETRANGE', key, String(at.until), doubleBytes(world.nowMs() + Number(ms)))
      outlive(world, key, ms as Buffer)
    }
    return 1
  },
})

/** Gives the lock back without a value, so that another may try. Key: one. Argument: our token. Answers 1 or 0. */
export const releaseLock = defineScript({
  name: 'release-lock',
  lua: `
local key = KEYS[1]
if redis.call('GETRANGE', key, ${at.token}, ${at.tokenEnd}) ~= ARGV[1] then return 0 end
if redis.call('GETRANGE', key, ${at.kind}, ${at.kind}) == '\\${loading}' then
  redis.call('DEL', key)
else
  redis.call('SETRANGE', key, ${at.token}, string.rep('\\0', 16))
end
return 1`,
  inMemory(world, [key = ''], [token]) {
    if (!range(world, key, at.token, at.tokenEnd).equals(token as Buffer)) return 0
    if (range(world, key, at.kind, at.kind)[0] === loading) world.call('DEL', key)
    else world.call('SETRANGE', key, String(at.token), Buffer.alloc(16))
    return 1
  },
})

/** The versions of entries, to compare what is held with what is there. Answers for each key eight bytes, or none. */
export const readVersions = defineScript({
  name: 'read-versions',
  lua: `
local found = {}
for i, key in ipairs(KEYS) do
  local version = redis.pcall('GETRANGE', key, ${at.version}, ${at.versionEnd})
  found[i] = type(version) == 'string' and version or ''
end
return found`,
  inMemory(world, keys) {
    return keys.map(
      (key) => attempt(world, 'GETRANGE', key, String(at.version), String(at.versionEnd)) || Buffer.alloc(0),
    )
  },
})

/**
 * The versions of tags. One that is not there, never was or was evicted, is made anew with a number that was never used,
 * so that entries of an earlier one are misses. Keys: tags. Arguments: a number to use, for how many ms a tag is kept.
 * Answers for each tag its version as text, or an empty string if it could not be made.
 */
export const holdTags = defineScript({
  name: 'hold-tags',
  lua: `
local found = {}
for i, key in ipairs(KEYS) do
  local version = redis.pcall('GET', key)
  if type(version) == 'string' then
    found[i] = version
    -- Only past its half, because everybody is told of a change.
    if redis.call('PTTL', key) * 2 < tonumber(ARGV[2]) then redis.pcall('PEXPIRE', key, ARGV[2]) end
  else
    local set = redis.pcall('SET', key, ARGV[1], 'PX', ARGV[2], 'NX')
    found[i] = type(set) == 'table' and set.ok and ARGV[1] or ''
  end
end
return found`,
  inMemory(world, keys, [version, ms]) {
    return keys.map((key) => {
      const held = attempt(world, 'GET', key)
      if (!Buffer.isBuffer(held)) {
        return attempt(world, 'SET', key, version as Buffer, 'PX', ms as Buffer, 'NX') ? version : Buffer.alloc(0)
      }
      if (Number(world.call('PTTL', key)) * 2 < Number(ms)) attempt(world, 'PEXPIRE', key, ms as Buffer)
      return held
    })
  },
})

const valueKind = 0

/**
 * Marks a key before its store is written, whoever has the lock: loads that are under way are barred. Key: one.
 * Arguments: the `loading` entry, our token, for how many ms, and 1 where the entry must not be read meanwhile. Answers 1.
 */
export const claimEntry = defineScript({
  name: 'claim-entry',
  lua: `
local key = KEYS[1]
if ARGV[4] == '1' or #redis.call('GETRANGE', key, ${at.token}, ${at.tokenEnd}) < 8 then
  redis.call('SET', key, ARGV[1], 'PX', ARGV[3])
else
  local time = redis.call('TIME')
  local now = time[1] * 1000 + math.floor(time[2] / 1000)
  redis.call('SETRANGE', key, ${at.token}, ARGV[2] .. struct.pack('<d', now + ARGV[3]))${outliveLock('ARGV[3]')}
end
return 1`,
  inMemory(world, [key = ''], [marker, token, ms, exclusive]) {
    if (String(exclusive) === '1' || range(world, key, at.token, at.tokenEnd).length < 8) {
      world.call('SET', key, marker as Buffer, 'PX', ms as Buffer)
    } else {
      const until = doubleBytes(world.nowMs() + Number(ms))
      world.call('SETRANGE', key, String(at.token), Buffer.concat([token as Buffer, until]))
      outlive(world, key, ms as Buffer)
    }
    return 1
  },
})

/**
 * Writes what the store has taken, if it is the newest: the lock is still ours, or what is there came from the store
 * earlier. What is there with a higher version stays; anything else is deleted, because nobody knows how old it is.
 * Key: one. Arguments: the entry (empty: the store has none any more), our token, the store's version as a double, for
 * how many ms the entry is kept (0: for ever). Answers 1: written; 0: a newer one is there; -1: deleted.
 */
export const settleWrite = defineScript({
  name: 'settle-write',
  lua: `
local key = KEYS[1]
local ours = redis.call('GETRANGE', key, ${at.token}, ${at.tokenEnd}) == ARGV[2]
if not ours and redis.call('GETRANGE', key, ${at.kind}, ${at.kind}) == '\\0' then
  local held = redis.call('GETRANGE', key, ${at.sourceVersion}, ${at.sourceVersionEnd})
  if #held == 8 then
    local version = struct.unpack('<d', held)
    if version >= struct.unpack('<d', ARGV[3]) then return 0 end
    ours = version == version
  end
end
if not ours or ARGV[1] == '' then redis.call('DEL', key) return -1 end
if ARGV[4] == '0' then redis.call('SET', key, ARGV[1]) else redis.call('SET', key, ARGV[1], 'PX', ARGV[4]) end
return 1`,
  inMemory(world, [key = ''], [entry, token, version, ms]) {
    let ours = range(world, key, at.token, at.tokenEnd).equals(token as Buffer)
    if (!ours && range(world, key, at.kind, at.kind)[0] === valueKind) {
      const held = range(world, key, at.sourceVersion, at.sourceVersionEnd)
      if (held.length === 8) {
        if (held.readDoubleLE() >= (version as Buffer).readDoubleLE()) return 0
        ours = !Number.isNaN(held.readDoubleLE())
      }
    }
    if (!ours || entry?.length === 0) {
      world.call('DEL', key)
      return -1
    }
    world.call('SET', key, entry as Buffer, ...(String(ms) === '0' ? [] : ['PX', String(ms)]))
    return 1
  },
})
