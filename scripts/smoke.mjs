/**
 * What the README promises a stranger, in a home of its own: `npm start` shows a shop that serves, the panel lets the
 * administrator in, the faults of the demonstration do what they say and the shop goes on serving, Ctrl-C ends it all with
 * exit code 0 and leaves nothing behind.
 */
import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { mkdtempSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { processesOf, removeWithProcesses } from './leftovers.mjs'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const home = mkdtempSync(join(tmpdir(), 'holdfast-smoke-'))
const env = { ...process.env, HOLDFAST_HOME: home }

// In a process group of its own, which then gets the SIGINT as a whole: that is what a terminal does at Ctrl-C.
const npm = spawn('npm', ['start'], { cwd: root, env, detached: true, stdio: ['ignore', 'pipe', 'pipe'] })
// Negative: the group. Without a pid npm was not even found.
const group = -(npm.pid ?? assert.fail('npm does not start'))
let said = ''
for (const stream of [npm.stdout, npm.stderr]) {
  stream.on('data', (chunk) => {
    said += chunk
    process.stdout.write(chunk)
  })
}
const ended = new Promise((resolve) => npm.once('exit', (code, signal) => resolve(signal ?? code)))

try {
  await until('it said that the shop serves, and all after it', () => said.includes('Press Ctrl-C'), 300_000)
  const [, url] = /panel\s+(http:\S+)/.exec(said) ?? []
  const [, user, password] = /sign in\s+(\S+) \/ (\S+)/.exec(said) ?? []
  const [, shop] = /the shop serves after [^:]+: (http:\S+)/.exec(said) ?? []

  const health = await fetch(`${url}/healthz`)
  assert.deepEqual(await health.json(), { ok: true })
  const page = await fetch(`${url}/demo`)
  assert.match(await page.text(), /<script/, 'the panel was built')
  const signIn = await post(`${url}/api/v1/session`, { user, password })
  assert.equal(signIn.status, 200, 'the printed password signs in')
  const cookie = signIn.headers.getSetCookie()[0].split(';')[0]
  const asked = { headers: { cookie, origin: url } }

  async function post(address, body, headers = {}) {
    const how = { 'content-type': 'application/json', origin: url, 'x-requested-by': 'smoke', ...headers }
    return fetch(address, { method: 'POST', headers: how, body: JSON.stringify(body) })
  }
  const get = async (path) => (await fetch(`${url}/api/v1${path}`, asked)).json()
  const state = () => get('/demo')
  async function press(action) {
    const answer = await post(`${url}/api/v1/demo/actions`, { action }, { cookie })
    const { did, error } = await answer.json()
    assert.equal(answer.status, 200, `${action}: ${error?.message}`)
    console.log(`smoke: ${action}: ${did}`)
    return did
  }
  const isReady = async () => (await get('/deployments/shop')).ready === 'yes'
  const serves = async () => (await fetch(`${shop}/products/p1`)).status === 200

  assert.equal((await get('/deployments/shop')).ready, 'yes')
  await until('the shop counts its visitors', async () => (await state()).samples.at(-1)?.requests > 100, 30_000)

  for (const action of ['kill', 'two', 'freeze', 'cache']) {
    const before = (await get('/deployments/shop')).nodes.map(({ pid }) => pid)
    assert.match(await press(action), /^SIG(KILL|STOP) to /)
    assert.ok(await serves(), `the shop answers after ${action}`)
    await until(
      `a process was replaced after ${action}`,
      async () => {
        const { nodes } = await get('/deployments/shop')
        return nodes.some(({ pid }) => pid !== null && !before.includes(pid))
      },
      30_000,
    )
    await until(`shop is ready again after ${action}`, isReady, 30_000)
    const { marks } = await state()
    assert.notEqual(marks.at(-1).because, null, `the controller explains ${action}`)
  }

  await press('database')
  assert.equal((await state()).database.running, false)
  assert.ok(await serves(), 'the shop answers without its database')
  await press('database')
  assert.equal((await state()).database.running, true)

  const holdfast = (...args) => execFileSync('npx', ['holdfast', ...args], { cwd: root, env, encoding: 'utf8' }).trim()
  assert.equal(holdfast('cli', 'shop', '--', 'set', 'greeting', 'hello'), 'OK')
  assert.equal(holdfast('cli', 'shop', '--', 'get', 'greeting'), 'hello')

  process.kill(group, 'SIGINT')
  assert.equal(await Promise.race([ended, aMinute()]), 0, 'exit code after Ctrl-C')
  assert.deepEqual(processesOf(home).map(describe), [], 'nothing is left running')
  console.log('smoke: npm start, panel, demonstration and Ctrl-C do what the README says')
} finally {
  await removeWithProcesses(home)
}

async function until(what, isTrue, withinMs) {
  const deadline = performance.now() + withinMs
  while (!(await isTrue())) {
    assert.equal(npm.exitCode, null, `npm start ended with exit code ${npm.exitCode} before ${what}`)
    assert.ok(performance.now() < deadline, `not within ${withinMs / 1000} s: ${what}`)
    await delay(100)
  }
}

function describe(pid) {
  try {
    return `${pid} ${readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ')}`
  } catch {
    return `${pid}, gone meanwhile`
  }
}

function aMinute() {
  return new Promise((resolve) => setTimeout(resolve, 60_000, 'still running after a minute').unref())
}
