import type { Browser, BrowserContext, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { anIncident } from '../../packages/control/test/ledger/an-incident.ts'
import { aStatus } from '../../packages/control/test/server/demo-status.ts'
import { anEvent } from '../../packages/control/test/server/memory-platform.ts'
import { aWorld, password, type World } from '../../packages/control/test/server/support.ts'
import {
  buildPanel,
  contrastsBelow,
  launchBrowser,
  picture,
  realComplaints,
  sideways,
  signInAt,
  visit,
} from './stage.ts'

let built: Awaited<ReturnType<typeof buildPanel>>
let browser: Browser
let world: World
let base: string
let context: BrowserContext
let page: Page
let complaints: string[]

const death = anIncident()
const freeze = anIncident({
  id: 'shop-12',
  kind: 'freeze',
  beganAt: death.beganAt - 3_600_000,
  endedAt: death.beganAt - 3_596_000,
  because:
    'node-1 has not answered for 10 s and is stopped: frozen, killing it so that it cannot wake up as a second primary',
  promotions: [{ shard: 'shard-1', from: 'node-1', to: 'node-4', offsetBefore: 5000, offsetAfter: 4200 }],
  possiblyLostBytes: 800,
  madeWorseBy: ['timeouts.frozenAfter is 10 s, and no freeze is proven sooner: the default is 2s'],
  timeline: [],
  drill: 'fault-7',
})

beforeAll(async () => {
  built = await buildPanel()
  browser = await launchBrowser()
})
afterAll(async () => {
  await browser?.close()
  built?.remove()
})
beforeEach(async () => {
  world = aWorld({ port: null, panelDir: built.dir })
  base = await world.app.listen({ host: '127.0.0.1', port: 0 })
  world.platform.show(aStatus({ observedAt: Date.now() }))
  world.platform.incidents.push(death, freeze)
})
afterEach(async () => {
  await context?.close()
  await world.close()
})

async function open(options: Parameters<typeof visit>[1] = {}, at = '/d/shop/incidents'): Promise<void> {
  await context?.close()
  ;({ context, page, complaints } = await visit(browser, options))
  await signInAt(page, base + at, password)
}

test('the ledger in one line, and each incident with its reason, newest first', async () => {
  await open()
  await page.getByRole('heading', { name: 'Incidents of shop' }).waitFor()
  await page.getByText('99.999 % in 24 h; 61 ms not writable; 1 death, 1 drill').waitFor()
  const told = await page.locator('.incident .because').allTextContents()
  expect(told).toEqual([death.because, freeze.because])
  expect(await page.getByRole('row', { name: /shard-2/ }).textContent()).toContain('unknown')
  expect(realComplaints(complaints)).toEqual([])
})

test('an incident opens by keyboard to who took over, what may be lost, what made it worse and when', async () => {
  await open()
  const one = page.locator('.incident', { hasText: freeze.because })
  await one.locator('summary').focus()
  await page.keyboard.press('Enter')
  await one.getByText('node-4 in place of node-1, at offset 4200; node-1 was last seen at 5000').waitFor()
  await one.getByText('800 B that whoever took over did not have').waitFor()
  await one.getByText('timeouts.frozenAfter is 10 s, and no freeze is proven sooner: the default is 2s').waitFor()
  await one.getByText('fault fault-7').waitFor()
  await picture(page, 'incidents')
  await page.locator('.incident', { hasText: death.because }).locator('summary').click()
  const steps = page.locator('.incident', { hasText: death.because }).locator('.timeline li')
  expect(await steps.allTextContents()).toEqual(
    death.timeline.map(({ at, because }) => `+${at - death.beganAt} ms${because}`),
  )
  expect(realComplaints(complaints)).toEqual([])
})

test('what happens while the page is open appears, and what was opened stays open', async () => {
  await open()
  await page.locator('.incident summary').first().click()
  const because = 'shard-3 cannot be written to: MISCONF the disk is full'
  world.platform.incidents.unshift(
    anIncident({
      id: 'shop-99',
      kind: 'outage',
      beganAt: death.beganAt + 9000,
      endedAt: null,
      because,
      promotions: [],
    }),
  )
  world.platform.events.append(anEvent({ kind: 'probe', subject: 'shard-3', because }))
  const fresh = page.locator('.incident', { hasText: because })
  await fresh.getByText('goes on').waitFor()
  expect(await page.locator('.incident').count()).toBe(3)
  expect(await page.locator('.incident[open]').count()).toBe(1)
  expect(await page.locator('.incident[open] .because').textContent()).toBe(death.because)
})

test('the page of the deployment leads here, and back', async () => {
  await open({}, '/d/shop')
  await page.getByRole('link', { name: 'Incidents and availability' }).click()
  await page.getByRole('heading', { name: 'Incidents of shop' }).waitFor()
  expect(new URL(page.url()).pathname).toBe('/d/shop/incidents')
  await page.getByRole('link', { name: 'Back to shop' }).click()
  await page.getByRole('heading', { name: 'Shop cache' }).waitFor()
})

test('a deployment without incidents says so, and one that does not exist too', async () => {
  world.platform.incidents.length = 0
  await open()
  await page.getByText('Nothing has kept a client from writing.').waitFor()
  await page.goto(`${base}/d/nowhere/incidents`)
  await page.getByText('there is no deployment nowhere.').waitFor()
})

test.each(['light', 'dark'] as const)('is readable in the %s theme, and on a phone', async (colorScheme) => {
  await open({ colorScheme })
  for (const summary of await page.locator('.incident summary').all()) await summary.click()
  expect(await page.evaluate(contrastsBelow, 4.5)).toEqual([])
  await page.setViewportSize({ width: 360, height: 740 })
  expect(await sideways(page)).toBe(0)
  await picture(page, `incidents-phone-${colorScheme}`)
  expect(realComplaints(complaints)).toEqual([])
})
