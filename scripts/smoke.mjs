/**
 * What the README promises a stranger, in a home of its own: `npm start` brings the deployment up, the panel lets the
 * administrator in, Ctrl-C ends it all with exit code 0 and leaves no engine behind.
 */
import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { mkdtempSync } from 'node:fs'
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
  await until('it said "is ready" and all after it', () => said.includes('Press Ctrl-C'), 300_000)
  const [, url] = /panel\s+(http:\S+)/.exec(said) ?? []
  const [, user, password] = /sign in\s+(\S+) \/ (\S+)/.exec(said) ?? []

  const health = await fetch(`${url}/healthz`)
  assert.deepEqual(await health.json(), { ok: true })
  const signIn = await fetch(`${url}/api/v1/session`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', origin: url },
    body: JSON.stringify({ user, password }),
  })
  assert.equal(signIn.status, 200, 'the printed password signs in')
  const cookie = signIn.headers.getSetCookie()[0].split(';')[0]
  const status = await fetch(`${url}/api/v1/deployments/shop`, { headers: { cookie, origin: url } })
  assert.equal((await status.json()).ready, 'yes')
  const page = await fetch(`${url}/`)
  assert.match(await page.text(), /<script/, 'the panel was built')

  const holdfast = (...args) => execFileSync('npx', ['holdfast', ...args], { cwd: root, env, encoding: 'utf8' }).trim()
  assert.equal(holdfast('cli', 'shop', '--', 'set', 'greeting', 'hello'), 'OK')
  assert.equal(holdfast('cli', 'shop', '--', 'get', 'greeting'), 'hello')

  process.kill(group, 'SIGINT')
  assert.equal(await Promise.race([ended, aMinute()]), 0, 'exit code after Ctrl-C')
  assert.deepEqual(processesOf(home), [], 'no engine is left running')
  console.log('smoke: npm start, panel, cli and Ctrl-C do what the README says')
} finally {
  await removeWithProcesses(home)
}

async function until(what, isTrue, withinMs) {
  const deadline = performance.now() + withinMs
  while (!isTrue()) {
    assert.equal(npm.exitCode, null, `npm start ended with exit code ${npm.exitCode} before ${what}`)
    assert.ok(performance.now() < deadline, `not within ${withinMs / 1000} s: ${what}`)
    await delay(100)
  }
}

function aMinute() {
  return new Promise((resolve) => setTimeout(resolve, 60_000, 'still running after a minute').unref())
}
