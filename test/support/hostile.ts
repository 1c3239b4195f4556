/** Requests that nobody should send, made from a seed: the same seed makes the same ones. */
export interface HostileRequest {
  readonly method: string
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string | Buffer | null
}

export interface Hostile {
  request(): HostileRequest
  /** Bytes as they come, of which few are HTTP. */
  bytes(): Buffer
}

/** `routes` as `PUT /api/v1/deployments/:name/spec`; `authorizations` are shown at random. */
export function hostile(seed: number, routes: readonly string[], authorizations: readonly string[]): Hostile {
  const random = mulberry(seed)
  const below = (count: number): number => Math.floor(random() * count)
  const one = <T>(choices: readonly T[]): T => {
    const found = choices[below(choices.length)]
    if (found === undefined) throw new Error('there is nothing to choose from')
    return found
  }
  const chance = (of: number): boolean => random() < of
  const noise = (length: number): string => Array.from({ length }, () => String.fromCharCode(below(256))).join('')

  const word = (): string =>
    one([
      () =>
        one([
          'it',
          'shop',
          'node-1',
          'shard-1',
          '',
          '.',
          '..',
          '*',
          ':name',
          'null',
          '__proto__',
          'constructor',
          'toString',
        ]),
      () =>
        one(['../../etc/passwd', '..%2f..%2fetc%2fpasswd', '%00', '%', '%c0%ae', '%ff%fe', '%u0000', '//', '\\..\\x']),
      () =>
        one([
          "' OR 1=1 --",
          '"; DROP TABLE audit;',
          '<img src=x onerror=alert(1)>',
          '{{7*7}}',
          '${7*7}',
          '$(id)',
          '`id`',
        ]),
      () => one(['a\r\nFLUSHALL', 'a\nset-cookie: x=1', '\u202e', '\ud800', '😀', 'İ', '\0']),
      () => 'a'.repeat(below(300)),
      () => noise(below(20)),
      () => String(below(2) === 0 ? random() * 1e21 : -below(1e9)),
    ])()

  const value = (depth: number): unknown =>
    one<() => unknown>([
      word,
      () => one([null, true, false, 0, -1, 1e308, 2 ** 53, 0.1]),
      () => (depth > 4 ? [] : Array.from({ length: below(5) }, () => value(depth + 1))),
      () => (depth > 4 ? {} : fields(depth + 1)),
      () =>
        one([
          'redis://127.0.0.1:6379',
          'redis://169.254.169.254',
          'http://localhost',
          'file:///etc/passwd',
          '/etc/shadow',
        ]),
    ])()
  const names =
    'name spec wanted purge id kind subject to from url user password role deployment scope expiresInMs engine because until drained target baseRevision users fault node action replace acceptEviction __proto__ constructor prototype toJSON'.split(
      ' ',
    )
  const fields = (depth: number): object =>
    Object.fromEntries(Array.from({ length: below(6) }, () => [chance(0.8) ? one(names) : word(), value(depth)]))

  const body = (): string | Buffer => {
    const text = JSON.stringify(fields(0))
    return one<() => string | Buffer>([
      () => text,
      () => text,
      () => text.slice(0, below(text.length)),
      () => Buffer.from(noise(below(400)), 'latin1'),
      () => one(['[', '{', '[]', 'null', '"x"', '{"a":1}{', '', '\ufeff{}', '{"__proto__":{"isAdmin":true}}']),
      () => `{"spec":${'['.repeat(below(3000))}`,
      () => `{"spec":{"name":${'{"a":'.repeat(40)}1${'}'.repeat(40)}}}`,
      () => (chance(0.02) ? 'x'.repeat(300 * 1024) : '{}'),
    ])()
  }

  const path = (): string => {
    const [, url = ''] = one(routes).split(' ')
    const filled = url.replace(/:\w+|\*/g, () => (chance(0.4) ? 'it' : encodeURIComponent(wellFormed(word()))))
    const query = one([
      '',
      '',
      '?limit=-1',
      '?limit=1&limit=2',
      '?after=9e99',
      `?user=${encodeURIComponent(wellFormed(word()))}`,
      '?__proto__[x]=1',
      '?%',
    ])
    return chance(0.1) ? `/${encodeURI(wellFormed(word()))}` : filled + query
  }

  const headers = (): Record<string, string> => ({
    ...(chance(0.9) ? {} : { host: one(['evil.example', 'localhost', '127.0.0.1', '[::1]:1', 'a'.repeat(200)]) }),
    ...(chance(0.7) ? { 'content-type': 'application/json' } : {}),
    ...(chance(0.1)
      ? {
          'content-type': one([
            'text/plain',
            'application/xml',
            'multipart/form-data',
            'application/json; charset=utf-7',
            ';',
          ]),
        }
      : {}),
    ...(chance(0.1) ? { 'content-encoding': one(['gzip', 'br', 'x']) } : {}),
    ...(chance(0.7) ? { authorization: one(authorizations) } : {}),
    ...(chance(0.2) ? { origin: one(['http://evil.example', 'null', 'x', 'http://127.0.0.1']) } : {}),
    ...(chance(0.2)
      ? { cookie: one(['holdfast_session=', `holdfast_session=${'A'.repeat(43)}`, 'a'.repeat(3000), '=;=;;']) }
      : {}),
    ...(chance(0.1) ? { 'last-event-id': one(['-1', '99999999999999999', 'x']) } : {}),
    ...(chance(0.2) ? { 'x-forwarded-for': '127.0.0.1', 'x-http-method-override': 'DELETE' } : {}),
    // Streams would stay open: they are asked for as JSON, or not at all.
    accept: 'application/json',
  })

  return {
    request: () => {
      const listed = one(routes).split(' ')[0] ?? 'GET'
      const method = chance(0.9) ? listed : one(['PATCH', 'OPTIONS', 'HEAD', 'PROPFIND', 'TRACE', 'QUERY'])
      const sends = !['GET', 'HEAD', 'OPTIONS', 'TRACE'].includes(method)
      return { method, path: path(), headers: headers(), body: sends && chance(0.9) ? body() : null }
    },
    bytes: () => {
      const line = `${one(['GET', 'POST', 'get', '', noise(3)])} ${one([path(), '*', 'http://x/', '', word()])} HTTP/${one(['1.1', '1.0', '9', ''])}`
      const head = one([
        '',
        'Host: x\r\n',
        'Host: a\r\nHost: b\r\n',
        `X: ${'a'.repeat(below(40_000))}\r\n`,
        ': x\r\n',
        'A : b\r\n',
      ])
      const length = one([
        '',
        'Content-Length: -1\r\n',
        'Content-Length: 99\r\n',
        'Content-Length: 1\r\nTransfer-Encoding: chunked\r\n',
        'Transfer-Encoding: x\r\n',
      ])
      const tail = one(['\r\n', '\r\nffffffffffffffff\r\n', '\n\n', '', noise(below(200))])
      return Buffer.from(chance(0.2) ? noise(below(500)) : `${line}\r\n${head}${length}${tail}`, 'latin1')
    },
  }
}

const wellFormed = (text: string): string => text.replace(/[\ud800-\udfff]/g, '\ufffd')

/** Small and good enough for this; its numbers are the same everywhere. */
function mulberry(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}
