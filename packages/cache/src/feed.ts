/**
 * The topology feed of a Holdfast controller: server-sent events over HTTP, each the whole topology of a deployment.
 *
 * It is the fastest word there is of a failover and never more than a hint: what it says is asked of the engine. One
 * that is away is followed again, ever more slowly; one that is silent, or writes without end, is cut off.
 */
import { get as getPlain, type IncomingMessage } from 'node:http'
import { get as getSecure } from 'node:https'
import type { Clock } from './clock.ts'
import { CacheError } from './errors.ts'
import { readTopology } from './feed-text.ts'
import type { Hints } from './hints.ts'

export interface FeedOptions {
  /** `https://controller:7500/api/v1/deployments/NAME/topology/stream`, of each controller if there are several. */
  readonly url: string | readonly string[]
  /** A token that may read the topology. Default: HOLDFAST_FEED_TOKEN of the environment, or none. */
  readonly token?: string
  /** Certificates to trust, in PEM, where the system's do not do. */
  readonly ca?: string | Buffer
}

interface Source {
  readonly url: URL
  readonly token: string | undefined
  readonly ca: string | Buffer | undefined
}

const againMs = { first: 500, most: 10_000 } as const
/** The controller sends a sign of life each 15 s. */
const silentMs = 40_000
/** Words that come faster than this are acted on by the last of them. */
const paceMs = 20
/** One word is never longer, however large the deployment. */
const wordBytesMax = 1024 ** 2

/** The hints of all its sources. Throws INVALID for an address that cannot be followed. */
export function followFeed(options: string | FeedOptions, clock: Clock): readonly Hints[] {
  const {
    url,
    token = process.env['HOLDFAST_FEED_TOKEN'],
    ca,
  } = typeof options === 'string' ? { url: options } : options
  return [url].flat().map((one): Hints => {
    const source = { url: checkUrl(one, token), token, ca }
    return (changed, trouble) => follow(source, clock, { changed, trouble })
  })
}

function checkUrl(text: string, token: string | undefined): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url === undefined || !/^https?:$/.test(url.protocol)) {
    throw new CacheError('INVALID', 'feed is the http:// or https:// address of a topology stream', { what: 'feed' })
  }
  if (url.username !== '' || url.password !== '') {
    throw new CacheError(
      'INVALID',
      'the feed takes no password in its address: set feed.token, or HOLDFAST_FEED_TOKEN',
      {
        what: 'feed',
      },
    )
  }
  if (token !== undefined && url.protocol === 'http:' && !/^(localhost|127\.[\d.]+|\[::1\])$/.test(url.hostname)) {
    throw new CacheError(
      'INVALID',
      'a token is sent over https:// only, or to this machine: mend the address of the feed',
      {
        what: 'feed',
      },
    )
  }
  return url
}

function follow(source: Source, clock: Clock, hear: Heard): () => void {
  let stopped = false
  let failures = 0
  let lastId: string | undefined
  let cancel: () => void = () => {}
  let end: () => void = () => {}
  const paced = inPace(clock, (text) => {
    const said = readTopology(text)
    hear.changed('the feed says so', said)
  })
  const open = (): void => {
    end = read(source, lastId, {
      word: (text, id) => {
        failures = 0
        lastId = id ?? lastId
        paced.pass(text)
      },
      refused: hear.trouble,
      over: () => {
        if (stopped) return
        const ms = Math.min(againMs.first * 2 ** failures++, againMs.most) * (0.5 + clock.random() / 2)
        cancel = clock.after(ms, open)
      },
    })
  }
  open()
  return () => {
    stopped = true
    cancel()
    paced.stop()
    end()
  }
}

interface Heard {
  readonly changed: Parameters<Hints>[0]
  readonly trouble: Parameters<Hints>[1]
}

/** The first at once, and of those that follow too fast the last. */
function inPace(clock: Clock, act: (text: string) => void): { pass(text: string): void; stop(): void } {
  let held: string | undefined
  let cancel: (() => void) | undefined
  const rest = (): void => {
    cancel = clock.after(paceMs, () => {
      cancel = undefined
      if (held === undefined) return
      const text = held
      held = undefined
      rest()
      act(text)
    })
  }
  return {
    pass(text) {
      if (cancel !== undefined) {
        held = text
        return
      }
      rest()
      act(text)
    },
    stop() {
      cancel?.()
    },
  }
}

interface Reading {
  readonly word: (text: string, id: string | undefined) => void
  readonly refused: (error: Error) => void
  /** Called once, unless it was ended. */
  readonly over: () => void
}

/** Reads one stream until it is over; answers how to end it. */
function read({ url, token, ca }: Source, lastId: string | undefined, { word, refused, over }: Reading): () => void {
  let isOver = false
  const finish = (): void => {
    if (isOver) return
    isOver = true
    request.destroy()
    over()
  }
  const headers = {
    accept: 'text/event-stream',
    ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    ...(lastId === undefined ? {} : { 'last-event-id': lastId }),
  }
  const answered = (response: IncomingMessage): void => {
    const { statusCode = 0 } = response
    response.on('error', finish)
    response.on('close', finish)
    if (statusCode === 200) readWords(response, word, finish)
    else {
      if ([401, 403, 404].includes(statusCode)) refused(refusal(url, statusCode))
      finish()
    }
  }
  const request =
    url.protocol === 'https:'
      ? getSecure(url, { headers, ...(ca === undefined ? {} : { ca }) }, answered)
      : getPlain(url, { headers }, answered)
  // What is silent for so long is gone, and nobody has said so.
  request.setTimeout(silentMs, finish)
  request.on('error', finish)
  return () => {
    isOver = true
    request.destroy()
  }
}

function readWords(response: IncomingMessage, word: Reading['word'], finish: () => void): void {
  let text = ''
  response.setEncoding('utf8')
  response.on('data', (chunk: string) => {
    text += chunk.replaceAll('\r\n', '\n')
    for (let at = text.indexOf('\n\n'); at !== -1; at = text.indexOf('\n\n')) {
      const lines = text.slice(0, at).split('\n')
      text = text.slice(at + 2)
      const data = lines.filter((line) => line.startsWith('data:')).map((line) => line.slice(5))
      const id = lines
        .find((line) => line.startsWith('id:'))
        ?.slice(3)
        .trim()
      if (data.length > 0) word(data.join('\n'), id)
    }
    if (text.length > wordBytesMax) finish()
  })
}

function refusal(url: URL, status: number): CacheError {
  const why =
    status === 404
      ? 'there is no such deployment'
      : 'it does not take the token: set feed.token, or HOLDFAST_FEED_TOKEN'
  return new CacheError('DENIED', `the feed of ${url.host} answers ${status}: ${why}. The cache works without it`, {
    host: url.host,
    status,
  })
}
