/**
 * A chat room over Pub/Sub, which may drop messages, without dropping messages.
 *
 *     const room = chatRoom(cache, 'lobby')
 *     const leave = await room.join({ message: show, missing: (because) => showLine(because) })
 *     await room.say('ada', 'hello')
 *
 * The channel is only the bell. What was said stands in a stream of the last thousand lines; who hears the bell, or
 * hears that bells may have been missed, reads what came after the last line he has seen.
 */
import { type Cache, type StreamEntry, streamEntries } from '@holdfast/cache'

export interface Line {
  readonly id: string
  readonly who: string
  readonly text: string
}

export interface RoomListener {
  readonly message: (line: Line) => void
  /** Lines may be missing, and why; those that are still kept have been or will be shown. */
  readonly missing: (because: string) => void
}

const kept = 1000

const sayScript = {
  name: 'chat-say',
  lua: `
local id = redis.call('XADD', KEYS[1], 'MAXLEN', ARGV[1], '*', 'who', ARGV[3], 'text', ARGV[4])
redis.call('PUBLISH', ARGV[2], id)
return id`,
}

export function chatRoom(cache: Pick<Cache, 'on' | 'channel'>, name: string) {
  const room = cache.on(`{room:${encodeURIComponent(name)}}`)
  const bell = cache.channel(`room:${encodeURIComponent(name)}`)
  const lines = room.key('lines')

  async function linesAfter(id: string): Promise<readonly StreamEntry[]> {
    return streamEntries(await room.call(['XRANGE', lines, id === '' ? '-' : `(${id}`, '+']))
  }

  return {
    /** The line's id. Said once, however often the engine has to be asked. */
    say(who: string, text: string, { operation }: { operation?: string } = {}): Promise<string> {
      const options = operation === undefined ? {} : { operation }
      return room.script<string>(sayScript, ['lines'], [kept, bell.name, who, text], options)
    },

    /** The last lines, oldest first. */
    async last(count: number): Promise<readonly Line[]> {
      const newest = streamEntries(await room.call(['XREVRANGE', lines, '+', '-', 'COUNT', count]))
      return newest.map(lineOf).reverse()
    },

    /** Hears what is said from now on. Answers how to leave. */
    async join({ message, missing }: RoomListener): Promise<() => Promise<void>> {
      let seen = ''
      let joined = false
      let rings = 0
      let reading: Promise<void> | undefined

      async function readOn(): Promise<void> {
        // A bell that rings while we read makes us read once more, however often it rings.
        for (let heard = -1; heard !== rings; ) {
          heard = rings
          try {
            for (const entry of await linesAfter(seen)) {
              seen = entry.id
              message(lineOf(entry))
            }
          } catch {
            missing('the lines could not be read: the next bell tries again')
          }
        }
      }

      function ring(): void {
        rings += 1
        if (!joined || reading !== undefined) return
        reading = readOn().finally(() => {
          reading = undefined
        })
      }

      const listening = await bell.listen({
        message: ring,
        gap(because) {
          missing(because)
          ring()
        },
      })
      // After the listening began, so that no line falls between.
      const [newest] = streamEntries(await room.call(['XREVRANGE', lines, '+', '-', 'COUNT', 1]))
      seen = newest?.id ?? ''
      joined = true
      return async () => {
        joined = false
        await listening.close()
        await reading
      }
    },
  }
}

const lineOf = ({ id, fields }: StreamEntry): Line => ({ id, who: fields?.['who'] ?? '', text: fields?.['text'] ?? '' })
