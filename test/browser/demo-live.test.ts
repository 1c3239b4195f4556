/** Every button of the page, on the demonstration itself: real engines, real shops, and what the shops counted. */
import type { DemoAction, DemoState, LaneName, LaneSample } from '@holdfast/core'
import { demoActions } from '@holdfast/core'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { freePorts } from '../support/engines.ts'
import { eventually } from '../support/eventually.ts'
import { Program, type Running } from '../support/program.ts'
import { launchBrowser, picture, realComplaints, signInAt, visit } from './stage.ts'

let program: Program
let running: Running
let browser: Browser
let page: Page
let complaints: string[]

beforeAll(async () => {
  program = new Program()
  const basePort = await freePorts(7)
  const spec = program.file('shop.yaml', { name: 'shop', drills: 'yes', expose: { basePort } })
  await program.ok(['apply', spec, '--yes'])
  running = program.start(['demo', '--port', String(basePort + 6)], { withinMs: 300_000 })
  await eventually(() => running.stdout().includes('Press Ctrl-C'), { withinMs: 100_000, what: 'the shop serves' })
  const [, password = ''] = /admin \/ (\S+)/.exec(running.stdout() + running.stderr()) ?? []
  browser = await launchBrowser()
  ;({ page, complaints } = await visit(browser))
  await signInAt(page, `http://127.0.0.1:${basePort + 6}/demo`, password)
  await page.getByRole('heading', { name: 'Where a key lives' }).waitFor()
}, 180_000)
afterAll(async () => {
  await browser?.close()
  await program?.close()
})

const told = (): Promise<DemoState> => program.ask<DemoState>('/demo')

/** The newest second of a lane, as its shops counted it. */
async function newest(lane: LaneName = 'holdfast'): Promise<LaneSample> {
  const { samples } = await told()
  const sample = samples.findLast((one) => one.lane === lane)
  if (sample === undefined) throw new Error(`nothing from the lane ${lane}`)
  return sample
}

/** Every second of Holdfast's lane since then. */
const secondsSince = async (at: number): Promise<LaneSample[]> =>
  (await told()).samples.filter((sample) => sample.lane === 'holdfast' && sample.at > at)

const press = (action: DemoAction): Promise<void> =>
  page.locator(`button[aria-keyshortcuts="${demoActions[action].key}"]`).click()

/** Presses, and waits until the mark is told, with the controller's sentence, and shown. */
async function strike(action: DemoAction): Promise<void> {
  const pressedAt = Date.now()
  await press(action)
  const because = await eventually(
    async () => (await told()).marks.find((mark) => mark.action === action && mark.at >= pressedAt)?.because ?? false,
    { what: `the controller says why after ${action}` },
  )
  await page.getByRole('region', { name: 'What was done' }).getByText(String(because)).first().waitFor()
}

/** Ready, and a shop that has answered everybody for three seconds: what comes then comes of the fault. */
const isCalm = () =>
  eventually(
    async () => {
      const [{ ready }, { samples }] = await Promise.all([program.ask<{ ready: string }>('/deployments/shop'), told()])
      const latest = samples.filter(({ lane }) => lane === 'holdfast').slice(-3)
      return ready === 'yes' && latest.length === 3 && latest.every(({ errors }) => errors === 0)
    },
    { withinMs: 40_000, what: 'the deployment is ready, and the shop without errors' },
  )

/** Waits until the shops have counted so many more seconds. */
async function seconds(count: number): Promise<void> {
  const { at } = await newest()
  await eventually(async () => (await newest()).at >= at + count * 1000 - 500, { what: `${count} seconds are counted` })
}

// A kill costs nothing: that is promised. Two at once, a freeze and a second lane leave less room while a browser draws on
// the same two cores; how many of two hundred a second that are is for the benchmark to say, here one in a hundred.
const awayAtMost = (requests: number): number => Math.floor(requests / 100)

test.each(['kill', 'two', 'freeze'] as const)('%s costs the shop nothing, or next to it', async (action) => {
  await isCalm()
  const before = await newest()
  await strike(action)
  await seconds(3)
  await isCalm()
  if (action === 'freeze') {
    // The order of the fault goes on, though who was frozen has long been replaced.
    await page.getByRole('button', { name: 'Stop the fault now' }).click()
    await eventually(async () => (await told()).faultUnderway === null, { what: 'the fault is over' })
  }
  const after = await newest()
  const requests = after.requestsTotal - before.requestsTotal
  const errorsMax = action === 'kill' ? 0 : awayAtMost(requests)
  expect(after.errorsTotal - before.errorsTotal).toBeLessThanOrEqual(errorsMax)
  expect(after.missing).toBe(0)
  expect(after.acked).toBeGreaterThan(before.acked)
  expect(requests).toBeGreaterThan(300)
})

test('without the cache the shop answers, and its database is not overrun', async () => {
  await isCalm()
  const { at, requestsTotal } = await newest()
  await strike('cache')
  await isCalm()
  await seconds(1)
  const { database } = await told()
  const queriesMax = (database.limit * 1000) / database.delayMs
  const since = await secondsSince(at)
  expect(Math.max(...since.map(({ queries }) => queries))).toBeLessThanOrEqual(queriesMax * 1.1)
  expect((await newest()).requestsTotal).toBeGreaterThan(requestsTotal)
})

test('without the database cached pages are served, and say that they are old', async () => {
  await isCalm()
  const { at } = await newest()
  await press('database')
  await page.getByText('is stopped: what the cache has is served').waitFor()
  await eventually(async () => (await secondsSince(at)).some(({ stale }) => stale > 0), {
    withinMs: 15_000,
    what: 'old pages are served',
  })
  const away = await newest()
  expect(away.requests).toBeGreaterThan(0)
  if (!(await told()).database.running) await page.getByRole('button', { name: 'Stop the fault now' }).click()
  await eventually(async () => (await told()).database.running, { withinMs: 15_000, what: 'the database runs again' })
  await seconds(1)
  expect((await newest()).requests).toBeGreaterThan(0)
})

test('a thousand buyers of one product cost one question', async () => {
  await isCalm()
  await press('buyers')
  const buyers = await eventually(async () => (await told()).buyers ?? false, {
    withinMs: 20_000,
    what: 'they are served',
  })
  expect(buyers).toMatchObject({ callers: 1000, loads: 1 })
  const card = page.getByRole('region', { name: '1000 buyers, one product' })
  await card.getByText('question to the database for 1,000 callers').waitFor()
})

test('a flash sale makes one key hot, which is found and relieved', async () => {
  await isCalm()
  const { errorsTotal } = await newest()
  await press('hot')
  await eventually(async () => ((await told()).hot?.servedLocally ?? 0) > 0.5, {
    withinMs: 15_000,
    what: 'most reads stay in the shops',
  })
  await page.getByRole('region', { name: 'Flash sale' }).getByText("answered by the shops' own memory").waitFor()
  expect((await newest()).errorsTotal).toBe(errorsTotal)
})

test('compared with the engine alone: the same kill, and errors in one lane only', async () => {
  await press('compare')
  await eventually(async () => (await told()).compare === 'on', { withinMs: 40_000, what: 'the second cluster runs' })
  await eventually(async () => (await newest('bare')).requests > 0, { what: 'its shop serves' })
  await page.getByRole('button', { name: 'Stop comparing' }).waitFor()
  await isCalm()
  const [before, bareBefore] = [await newest(), await newest('bare')]
  await strike('kill')
  await eventually(async () => (await newest('bare')).errorsTotal > bareBefore.errorsTotal + 100, {
    withinMs: 30_000,
    what: 'the engine alone has many errors',
  })
  const after = await newest()
  const requests = after.requestsTotal - before.requestsTotal
  expect(after.errorsTotal - before.errorsTotal).toBeLessThanOrEqual(awayAtMost(requests))
  await expect.poll(() => page.locator('.chart canvas').count()).toBe(8)
  await picture(page, 'demo-live')
  await press('compare')
  await eventually(async () => (await told()).compare === 'off', {
    withinMs: 20_000,
    what: 'the second cluster is gone',
  })
  expect(realComplaints(complaints)).toEqual([])
})

test('and it ends when it is told to, with nothing left running', async () => {
  running.signal('SIGINT')
  expect((await running.ended).code).toBe(0)
  expect(program.processes()).toEqual([])
})
