import { readFileSync } from 'node:fs'
import { Agent, request } from 'node:http'
import { connect } from 'node:net'
import { engineUsers } from '@holdfast/core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Api } from '../../packages/control/src/cli/api.ts'
import { accessTable } from '../../packages/control/src/server/access.ts'
import { readController } from '../../packages/control/src/store/controller-file.ts'
import { TestDeployment } from '../support/deployment.ts'
import type { HostileRequest } from '../support/hostile.ts'
import { hostile } from '../support/hostile.ts'

const seed = Number(process.env['SEED'] ?? Math.floor(Math.random() * 2 ** 31))
const requests = 9000
/** As bytes on plain sockets, several behind each other in each. */
const raw = 1000
const rawInOne = 5
const atOnce = 16
const socketsAtOnce = 50

let it: TestDeployment
let api: Api
let secrets: string[]
const authorizations: string[] = []
/** An administrator may have users and tokens made, and their secrets are then his answer. */
let admin = ''
const answersWithSecrets = /\/(users|api-tokens|credentials)\b/

beforeAll(async () => {
  it = await TestDeployment.up({ topology: 'standalone', shards: 1, replicasPerShard: 0 })
  const found = readController(it.place.home)
  if (found === undefined) throw new Error('no controller')
  api = new Api(found.url, found.token)
  const made: string[] = []
  for (const role of ['viewer', 'operator', 'admin']) {
    const { token } = await api.ask<{ token: string }>('POST', '/api-tokens', {
      name: role,
      role,
      expiresInMs: 600_000,
    })
    made.push(token)
    authorizations.push(`Bearer ${token}`)
  }
  admin = `Bearer ${made[2]}`
  authorizations.push('Bearer x', `Bearer hfs_${'0'.repeat(12)}_${'A'.repeat(43)}`, 'Basic YTpi', 'Bearer', '')
  const { password } = await api.credentials('it', engineUsers.app)
  secrets = [...made, found.token, password, 'scrypt$', 'PRIVATE KEY', readFileSync(it.place.home.key, 'latin1').trim()]
}, 60_000)

afterAll(async () => {
  await it?.close()
})

test(`${requests + raw} hostile requests: nothing breaks, and no secret is told (SEED=${seed})`, async () => {
  console.log(`SEED=${seed}`)
  const make = hostile(seed, Object.keys(accessTable), authorizations)
  const agent = new Agent({ keepAlive: true, maxSockets: atOnce })
  const port = Number(new URL(api.url).port)
  const statuses = new Map<number, number>()
  const asked: HostileRequest[] = []
  // Streams stay open by design, the health of nodes answers 503 by design, and a fault or the end of all tokens would be the test's own doing.
  while (asked.length < requests) {
    const one = make.request()
    if (
      !/watch|stream|^\/health/.test(one.path) &&
      !(one.headers['authorization'] === admin && one.method === 'DELETE')
    )
      asked.push(one)
  }
  let next = 0
  const worker = async (): Promise<void> => {
    for (let sent = asked[next++]; sent !== undefined; sent = asked[next++]) {
      const { status, text } = await send(agent, port, sent)
      statuses.set(status, (statuses.get(status) ?? 0) + 1)
      const shown = JSON.stringify({ ...sent, body: String(sent.body).slice(0, 300) })
      if (status === 500) throw new Error(`500 to ${shown}: ${text}`)
      const mayTell = sent.headers['authorization'] === admin && answersWithSecrets.test(sent.path)
      const told = mayTell ? undefined : secrets.find((secret) => text.includes(secret))
      if (told !== undefined) throw new Error(`a secret was told to ${shown}`)
    }
  }
  await Promise.all(Array.from({ length: atOnce }, worker))
  const oneSocket = () => throwBytes(port, Buffer.concat(Array.from({ length: rawInOne }, () => make.bytes())))
  for (let i = 0; i < raw; i += socketsAtOnce * rawInOne) {
    const answers = await Promise.all(Array.from({ length: socketsAtOnce }, oneSocket))
    for (const answer of answers) {
      expect(answer).not.toMatch(/^HTTP\/1\.1 500/)
      expect(secrets.filter((secret) => answer.includes(secret))).toEqual([])
    }
  }
  agent.destroy()
  console.log(
    `answered: ${[...statuses]
      .sort(([a], [b]) => a - b)
      .map(([status, count]) => `${status} ${count}`)
      .join(', ')}`,
  )
  expect(({} as { isAdmin?: boolean }).isAdmin).toBeUndefined()
  expect(await api.names()).toContain('it')
  expect(await api.ask('GET', '/audit/verdict')).toMatchObject({ whole: true })
  expect(readFileSync(it.place.home.log, 'utf8')).not.toContain('a request failed unexpectedly')
}, 60_000)

/** What cannot be sent at all counts as answered: it never left. */
function send(agent: Agent, port: number, sent: HostileRequest): Promise<{ status: number; text: string }> {
  return new Promise((resolve) => {
    const { method, path, headers, body } = sent
    const nothing = (): void => resolve({ status: 0, text: '' })
    try {
      const asking = request({ agent, host: '127.0.0.1', port, method, path, headers, timeout: 10_000 }, (answer) => {
        let text = JSON.stringify(answer.headers)
        answer.setEncoding('latin1')
        answer.on('data', (chunk: string) => {
          text += chunk
          // Events come as a stream to whoever does not ask for JSON.
          if (answer.headers['content-type']?.startsWith('text/event-stream') === true) asking.destroy()
        })
        answer.on('close', () => resolve({ status: answer.statusCode ?? 0, text }))
      })
      asking.on('error', nothing)
      asking.on('timeout', () => asking.destroy())
      asking.end(body ?? undefined)
    } catch {
      nothing()
    }
  })
}

function throwBytes(port: number, bytes: Buffer): Promise<string> {
  return new Promise((resolve) => {
    let answer = ''
    const socket = connect(port, '127.0.0.1', () => socket.end(bytes))
    socket.setEncoding('latin1')
    socket.setTimeout(300, () => socket.destroy())
    socket.on('data', (chunk: string) => {
      answer += chunk
    })
    socket.on('error', () => {})
    socket.on('close', () => resolve(answer))
  })
}
