/**
 * Writes that are done once however often they are sent.
 *
 * When the connection is lost between a write and its reply, nobody can say whether it was done. To send INCR again may
 * count twice, not to send it may not count at all. So each such write carries an operation id, and runs inside a script
 * that first looks whether this id is known: if so, it answers what it answered then, and does nothing. The effect and
 * its memory are one script, so they reach replicas and files together or not at all; and they share the slot of the
 * write, so they move together.
 *
 * Whoever is answered from memory still writes: the memory's end is moved. Without that, a `WAIT` behind it would have
 * nothing of its own connection to wait for, and would count copies that never heard of the first try.
 *
 * An error is not remembered where nothing was done, so that a write which found the engine full may be tried again.
 */
import { createHash } from 'node:crypto'
import { deserialize, serialize } from 'node:v8'
import { type Argument, type Command, ReplyError } from '../engine/engine.ts'
import { defineScript, type Script, type ScriptWorld } from '../engine/script.ts'
import { CacheError } from '../errors.ts'

/** A script of the application's own. */
export interface ScriptDefinition {
  /** A word for people and for traces. */
  readonly name: string
  /** Lua with `KEYS` and `ARGV`, as for EVAL, without a `#!` line. */
  readonly lua: string
  /** The same in JavaScript, for the engine in memory; without it a test needs a real engine. */
  readonly inMemory?: Script['inMemory']
}

export interface Operation {
  readonly id: string
  /**
   * Who gives an id himself may give it twice by mistake, for two different things: that is told, not answered. An id that
   * was made up here fits whatever is asked under it, because its caller was told it with the error.
   */
  readonly givenByCaller: boolean
  /** Where it is remembered. */
  readonly key: string
  readonly rememberMs: number
}

const mostArguments = 7000
const reusedWord = 'OPREUSED'

/**
 * Where an error says that the engine did nothing and may do it later. The engine says so only before the first write of
 * a script.
 */
const passing = ['OOM', 'READONLY', 'MISCONF', 'NOREPLICAS', 'MASTERDOWN', 'LOADING', 'CLUSTERDOWN', 'TRYAGAIN']

/** `work` is Lua that sets `reply`, and `done` to false where nothing was done. ARGV 1 and 2 and KEYS 1 are ours. */
const onceLua = (work: string): string => `
local known = redis.call('GET', KEYS[1])
if known then
  redis.call('PEXPIRE', KEYS[1], ARGV[1])
  local memory = cmsgpack.unpack(known)
  if memory[1] ~= ARGV[2] and memory[1] ~= '' and ARGV[2] ~= '' then return redis.error_reply('${reusedWord} another write had this operation id') end
  return memory[2]
end
local done, reply = true, false
${work}
if done then redis.call('SET', KEYS[1], cmsgpack.pack({ARGV[2], reply}), 'PX', ARGV[1]) end
return reply`

/** The same for the engine in memory. `work` answers a value, or a ReplyError where nothing was done. */
function onceInMemory(
  world: ScriptWorld,
  key: string,
  rememberMs: Buffer,
  fingerprint: Buffer,
  work: () => unknown,
): unknown {
  const known = world.call('GET', key)
  if (Buffer.isBuffer(known)) {
    world.call('PEXPIRE', key, rememberMs)
    const [which, reply] = deserialize(known) as [string, unknown]
    const asked = fingerprint.toString()
    if (which !== asked && which !== '' && asked !== '')
      throw new ReplyError(`${reusedWord} another write had this operation id`)
    return reply
  }
  const reply = work()
  if (reply instanceof ReplyError) throw reply
  world.call('SET', key, serialize([fingerprint.toString(), reply]), 'PX', rememberMs)
  return reply
}

/** One command. Its error means that nothing was done. */
const commandOnce = defineScript({
  name: 'command-once',
  lua: onceLua(`
reply = redis.pcall(unpack(ARGV, 3))
if type(reply) == 'table' and reply.err then
  reply = {err = reply.err}
  done = false
end`),
  inMemory: (world, [key = ''], [rememberMs, fingerprint, ...command]) =>
    onceInMemory(world, key, rememberMs as Buffer, fingerprint as Buffer, () => attempt(world, command)),
})

/**
 * Several commands, each as its count of arguments and these. Answers a pair for each: 1 and the reply, or 0 and the
 * error's text. A command that does not exist or has too few arguments is found before the first is run, as MULTI does;
 * any other error leaves the other commands done, as EXEC does.
 */
const commandsOnce = defineScript({
  name: 'commands-once',
  lua: onceLua(`
local commands, at = {}, 3
while at <= #ARGV do
  local count = tonumber(ARGV[at])
  local keys = redis.pcall('COMMAND', 'GETKEYS', unpack(ARGV, at + 1, at + count))
  if keys.err and string.find(keys.err, 'Invalid', 1, true) then
    return redis.error_reply('EXECABORT command ' .. (#commands + 1) .. ': ' .. keys.err)
  end
  commands[#commands + 1] = {at + 1, at + count}
  at = at + count + 1
end
reply, done = {}, false
for i, span in ipairs(commands) do
  local one = redis.pcall(unpack(ARGV, span[1], span[2]))
  if type(one) == 'table' and one.err then
    reply[i] = {0, one.err}
  else
    reply[i] = {1, one}
    done = true
  end
end`),
  inMemory(world, [key = ''], [rememberMs, fingerprint, ...rest]) {
    return onceInMemory(world, key, rememberMs as Buffer, fingerprint as Buffer, () => {
      const replies: unknown[] = []
      for (let at = 0; at < rest.length; at += Number(rest[at]) + 1) {
        const reply = attempt(world, rest.slice(at + 1, at + 1 + Number(rest[at])))
        replies.push(reply instanceof ReplyError ? [0, Buffer.from(reply.message)] : [1, reply])
      }
      return replies
    })
  },
})

function attempt(world: ScriptWorld, command: readonly Argument[]): unknown {
  try {
    return world.call(...command)
  } catch (error) {
    if (error instanceof ReplyError) return error
    throw error
  }
}

/** The application's script, as it is. */
export const plainScript = cached(({ name, lua, inMemory }) =>
  defineScript({ name, lua, inMemory: inMemory ?? notInMemory(name) }),
)

/** The application's script inside the memory of operations. Its keys stand behind ours. */
const scriptOnce = cached(({ name, lua, inMemory = notInMemory(name) }) =>
  defineScript({
    name,
    lua: onceLua(`
local function body(KEYS, ARGV)
${lua}
end
local ok
ok, reply = pcall(body, {unpack(KEYS, 2)}, {unpack(ARGV, 3)})
if not ok then
  -- Engines before 7 put the place in front.
  local text = string.gsub(type(reply) == 'table' and reply.err or tostring(reply), '^@user_script: ?%d+: %-?', '')
  reply = redis.error_reply(text)
end
if reply == nil then reply = false end
if type(reply) == 'table' and reply.err then
  for _, word in ipairs({${passing.map((word) => `'${word}'`).join(', ')}}) do
    if string.sub(reply.err, 1, #word + 1) == word .. ' ' then done = false end
  end
end`),
    inMemory: (world, [key = '', ...keys], [rememberMs, fingerprint, ...args]) =>
      onceInMemory(world, key, rememberMs as Buffer, fingerprint as Buffer, () => inMemory(world, keys, args) ?? null),
  }),
)

function cached(build: (definition: ScriptDefinition) => Script): (definition: ScriptDefinition) => Script {
  const built = new WeakMap<ScriptDefinition, Script>()
  return (definition) => {
    let script = built.get(definition)
    if (script === undefined) {
      checkDefinition(definition)
      script = build(definition)
      built.set(definition, script)
    }
    return script
  }
}

const notInMemory = (name: string) => (): never => {
  throw new ReplyError(`ERR script ${name} has no inMemory form`)
}

function checkDefinition({ name, lua }: ScriptDefinition): void {
  if (typeof name !== 'string' || name === '' || typeof lua !== 'string' || lua.trimStart().startsWith('#!')) {
    throw new CacheError('INVALID', 'a script has a name and lua without a #! line', { what: 'script' })
  }
}

export function sendCommandOnce(operation: Operation, command: readonly Argument[], keys: readonly string[]): Command {
  const args = [...memoryOf(operation, [command]), ...command]
  return { script: commandOnce, keys: [operation.key, ...keys], args: bounded(args) }
}

export function sendCommandsOnce(
  operation: Operation,
  commands: readonly (readonly Argument[])[],
  keys: readonly string[],
): Command {
  const args = [
    ...memoryOf(operation, commands),
    ...commands.flatMap((command) => [String(command.length), ...command]),
  ]
  return { script: commandsOnce, keys: [operation.key, ...keys], args: bounded(args) }
}

/** What the pairs of `sendCommandsOnce` say: a reply or a ReplyError for each command. */
export function repliesOfCommands(pairs: unknown): readonly unknown[] {
  return (pairs as readonly [number, unknown][]).map(([done, reply]) =>
    done === 1 ? reply : new ReplyError(String(reply)),
  )
}

export function sendScriptOnce(
  operation: Operation,
  definition: ScriptDefinition,
  keys: readonly string[],
  args: readonly Argument[],
): Command {
  const memory = memoryOf(operation, [[definition.lua], keys, args])
  return { script: scriptOnce(definition), keys: [operation.key, ...keys], args: bounded([...memory, ...args]) }
}

function memoryOf(operation: Operation, what: readonly (readonly Argument[])[]): readonly string[] {
  return [String(operation.rememberMs), operation.givenByCaller ? fingerprintOf(what) : '']
}

function fingerprintOf(what: readonly (readonly Argument[])[]): string {
  const hash = createHash('sha1')
  for (const part of what) {
    hash.update(`${part.length};`)
    for (const arg of part) hash.update(`${Buffer.byteLength(arg)}:`).update(arg)
  }
  return hash.digest('base64url').slice(0, 16)
}

function bounded(args: readonly Argument[]): readonly Argument[] {
  if (args.length <= mostArguments) return args
  throw new CacheError('INVALID', `more than ${mostArguments} arguments in one write: split it`, {
    arguments: args.length,
  })
}

/** Whether the engine said that the caller used one id for two things. */
export const isReused = (error: ReplyError): boolean => error.word === reusedWord
