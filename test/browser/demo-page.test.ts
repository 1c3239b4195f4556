import { type DemoAction, demoActions, HoldfastError } from '@holdfast/core'
import type { Browser, BrowserContext, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { aStatus, aStatusAfterDeath } from '../../packages/control/test/server/demo-status.ts'
import { MemoryDemo } from '../../packages/control/test/server/memory-demo.ts'
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
let demo: MemoryDemo
let base: string
let context: BrowserContext
let page: Page
let complaints: string[]

beforeAll(async () => {
  built = await buildPanel()
  browser = await launchBrowser()
})
afterAll(async () => {
  await browser?.close()
  built?.remove()
})

beforeEach(async () => {
  demo = new MemoryDemo(Date.now() - 120_000)
  demo.play(60)
  await openWorld(demo)
})
afterEach(async () => {
  await context?.close()
  await world.close()
})

async function openWorld(shown?: MemoryDemo): Promise<void> {
  world = aWorld({ port: null, panelDir: built.dir, ...(shown === undefined ? {} : { demo: shown }) })
  base = await world.app.listen({ host: '127.0.0.1', port: 0 })
  world.platform.show(aStatus({ observedAt: Date.now() - 100_000 }))
}

async function openDemo(options: Parameters<typeof visit>[1] = {}): Promise<void> {
  await context?.close()
  ;({ context, page, complaints } = await visit(browser, options))
  await signInAt(page, `${base}/demo`, password)
  await page.getByRole('heading', { name: 'Where a key lives' }).waitFor()
}

const score = (lane: 'Holdfast' | 'The engine alone') => page.getByRole('region', { name: lane, exact: true }).first()
const button = (action: DemoAction) => page.locator(`button[aria-keyshortcuts="${demoActions[action].key}"]`)
const wordsOf = async (locator: ReturnType<Page['locator']>) => (await locator.innerText()).replaceAll(/\s+/g, ' ')

/** How many buttons do nothing just now. */
const underWay = () => page.locator('button[aria-disabled="true"]').count()

/** In how many charts a colour of the theme is drawn. */
const chartsWith = (colour: string): Promise<number> =>
  page.evaluate((name) => {
    const canvas = document.createElement('canvas')
    const copy = canvas.getContext('2d', { willReadFrequently: true })
    if (copy === null) throw new Error('no canvas')
    const pixels = () => new Uint32Array(copy.getImageData(0, 0, canvas.width, canvas.height).data.buffer)
    copy.fillStyle = getComputedStyle(document.documentElement).getPropertyValue(name).trim()
    copy.fillRect(0, 0, 1, 1)
    const wanted = pixels()[0] ?? 0
    return [...document.querySelectorAll<HTMLCanvasElement>('.chart canvas')].filter((chart) => {
      canvas.width = chart.width
      canvas.height = chart.height
      copy.drawImage(chart, 0, 0)
      return pixels().includes(wanted)
    }).length
  }, colour)

describe('who comes for the first time', () => {
  test('is led to it, told what it is, and sees two zeros', async () => {
    ;({ context, page, complaints } = await visit(browser))
    await signInAt(page, base, password)
    await page.getByRole('link', { name: 'Demo', exact: true }).click()
    await page.getByRole('heading', { name: /^A shop answers 200 requests a second.*Press “Kill a primary”/ }).waitFor()
    expect(await wordsOf(score('Holdfast'))).toMatch(
      /^Holdfast .* errors 0 in 1\d,\d{3} requests acknowledged writes lost 0 2,520 acknowledged/,
    )
    expect(await wordsOf(score('The engine alone'))).toContain('errors – not running')
    await page.getByText('3 shards, 6 of 6 nodes in sync').waitFor()
    await page.getByText('From then on every fault falls on both.').waitFor()
    await picture(page, 'demo-first')
    expect(realComplaints(complaints)).toEqual([])
  })

  test('sees a second as it comes', async () => {
    await openDemo()
    const requests = await page.locator('.measure strong').first().innerText()
    demo.play(1)
    const { requests: newest } = demo.state().samples.at(-1)!
    expect(Number(requests)).toBeGreaterThan(0)
    await expect.poll(() => page.locator('.measure strong').first().innerText()).toBe(String(newest))
    await page.getByRole('img', { name: `Requests a second, the last three minutes; now ${newest}` }).waitFor()
  })

  test('without a demonstration finds how to start one, and no link to it', async () => {
    await world.close()
    await openWorld()
    ;({ context, page, complaints } = await visit(browser))
    await signInAt(page, base, password)
    await page.getByRole('link', { name: /Shop cache/ }).waitFor()
    expect(await page.getByRole('link', { name: 'Demo', exact: true }).count()).toBe(0)
    expect(realComplaints(complaints)).toEqual([])
    await page.goto(`${base}/demo`)
    await page.getByRole('heading', { name: /no demonstration runs here: "holdfast demo" starts one/ }).waitFor()
  })
})

describe('the buttons', () => {
  const actions = Object.keys(demoActions) as DemoAction[]

  test('each is pressed, and works by its key', async () => {
    await openDemo()
    for (const action of actions) {
      await button(action).click()
      await expect.poll(() => demo.asked).toEqual([`${action} by admin`])
      await expect.poll(() => underWay()).toBe(action === 'hot' ? 1 : 0)
      await page.keyboard.press(demoActions[action].key)
      // A sale goes on for a while: until it is over its button says so, and does nothing.
      const times = action === 'hot' ? 1 : 2
      await expect.poll(() => demo.asked).toEqual(Array.from({ length: times }, () => `${action} by admin`))
      await expect.poll(() => underWay()).toBe(action === 'hot' ? 1 : 0)
      demo.asked.length = 0
      demo.endSale()
      await expect.poll(() => underWay()).toBe(0)
    }
    expect(realComplaints(complaints)).toEqual([])
  })

  test('say what was done, or why it was not, and read it aloud', async () => {
    await openDemo()
    await button('kill').click()
    await page.getByRole('status').filter({ hasText: 'SIGKILL to node-2 (primary of shard-2).' }).waitFor()
    demo.refuseWith = new HoldfastError('REFUSED_DRILL', 'another fault is under way: wait until it is over')
    await button('freeze').click()
    await page.getByRole('status').filter({ hasText: 'Another fault is under way: wait until it is over.' }).waitFor()
    expect(complaints.filter((line) => !/status of (401|409)/.test(line))).toEqual([])
  })

  test('one that is being done does nothing, says why, and keeps the focus', async () => {
    await openDemo()
    let release = () => {}
    demo.holdUntil = new Promise((resolve) => {
      release = resolve
    })
    await button('kill').focus()
    await page.keyboard.press('Enter')
    await expect.poll(() => button('kill').getAttribute('aria-disabled')).toBe('true')
    expect(await button('kill').innerText()).toContain('being done')
    await page.keyboard.press('Enter')
    await page.keyboard.press('k')
    await button('kill').dispatchEvent('click')
    expect(demo.asked).toEqual(['kill by admin'])
    release()
    await expect.poll(() => button('kill').getAttribute('aria-disabled')).toBe('false')
    expect(await button('kill').evaluate((element) => element === document.activeElement)).toBe(true)
  })

  test('keys that are meant for the browser or for a field do nothing', async () => {
    await openDemo()
    for (const keys of ['Control+c', 'Alt+d', 'Meta+k']) await page.keyboard.press(keys)
    await page.evaluate(() => {
      const field = document.createElement('input')
      document.body.append(field)
      field.focus()
    })
    await page.keyboard.type('kx2')
    // What is asked after them is the first that the server hears.
    await button('buyers').click()
    await expect.poll(() => demo.asked).toEqual(['buyers by admin'])
  })

  test('a lasting fault can be stopped, and a stopped database started', async () => {
    await openDemo()
    expect(await page.getByRole('button', { name: 'Stop the fault now' }).count()).toBe(0)
    await button('database').click()
    await page.getByText('PostgreSQL is stopped: what the cache has is served').waitFor()
    await expect.poll(() => button('database').innerText()).toContain('Start the database')
    await page.getByRole('button', { name: 'Stop the fault now' }).click()
    await page.getByRole('status').filter({ hasText: 'The fault is healed.' }).waitFor()
    await expect.poll(() => page.getByRole('button', { name: 'Stop the fault now' }).count()).toBe(0)
    expect(demo.asked).toEqual(['database by admin', 'stop by admin'])
  })
})

describe('a fault', () => {
  test("is a line in all charts of both lanes, with the controller's sentence", async () => {
    await openDemo()
    await button('compare').click()
    await page.getByRole('button', { name: 'Stop comparing' }).waitFor()
    demo.play(20)
    await expect.poll(() => page.locator('.chart canvas').count()).toBe(8)
    expect(await chartsWith('--warn')).toBe(0)
    await button('kill').click()
    demo.play(1)
    const marks = page.getByRole('region', { name: 'What was done' })
    await marks.getByText('SIGKILL to node-2 (primary of shard-2)').waitFor()
    await expect.poll(() => chartsWith('--warn')).toBe(8)
    demo.explain()
    const sentence = 'node-2 (primary of shard-2) is dead, node-5 is in sync: promoting it'
    await marks.getByText(sentence).waitFor()
    // Above the charts of the lane that has a controller, too; the other one has nobody who could say it.
    const reading = (words: string) => page.locator('.reading').filter({ hasText: words })
    await expect.poll(() => reading(sentence).count()).toBe(1)
    expect(await reading('the same here, on the same slots: nobody is told of it').count()).toBe(1)
    demo.play(10)
    await expect.poll(() => wordsOf(score('The engine alone'))).toMatch(/ errors [1-9]/)
    expect(await wordsOf(score('Holdfast'))).toContain(' errors 0 ')
    await picture(page, 'demo-kill')
    expect(realComplaints(complaints)).toEqual([])
  })

  test('under the pointer is read for the moment that it is on, in both lanes', async () => {
    await openDemo()
    await button('compare').click()
    demo.play(30)
    await expect.poll(() => page.locator('.chart canvas').count()).toBe(8)
    await page
      .locator('.chart .u-over')
      .nth(1)
      .hover({ position: { x: 300, y: 20 } })
    await expect.poll(() => page.locator('.reading').allInnerTexts()).toHaveLength(2)
    const [here, there] = await page.locator('.reading').allInnerTexts()
    expect(here).toMatch(/^\d\d:\d\d:\d\d$/)
    expect(there).toBe(here)
  })

  test('that loses acknowledged writes has them listed where they were lost, each with its way', async () => {
    await openDemo()
    await button('compare').click()
    demo.play(5)
    await button('kill').click()
    await page.getByRole('region', { name: 'What was done' }).getByText('SIGKILL').waitFor()
    const killedAt = demo.state().marks.at(-1)!.at
    demo.lose('bare', '{w3}:acked:10017', killedAt - 40)
    demo.play(2)
    const losses = page.getByRole('region', { name: 'Acknowledged, and not there any more' })
    expect(await wordsOf(losses)).toMatch(/The engine alone .*10017 acknowledged at .*, 40 ms before “Kill a primary”/)
    await expect.poll(() => wordsOf(score('The engine alone'))).toContain(' acknowledged write lost 1 ')
    expect(await wordsOf(score('Holdfast'))).toContain(' acknowledged writes lost 0 ')
    // A diamond at its moment, in the chart of its lane's errors.
    await expect.poll(() => chartsWith('--bad')).toBe(1)
    await losses.getByRole('button', { name: '{w3}:acked:10017' }).click()
    const way = page.getByRole('list', { name: 'The way of {w3}:acked:10017' })
    expect(await wordsOf(way)).toContain('on the engine alone, which nobody watches')
    await picture(page, 'demo-lost')
  })
})

describe('a key', () => {
  test('shows its slot, its shard and its node, and where it moved', async () => {
    await openDemo()
    await page.getByRole('button', { name: 'product 1', exact: true }).click()
    const way = page.getByRole('list', { name: 'The way of product 1' })
    await expect.poll(() => wordsOf(way)).toBe('Key shop:product:1 Slot 8973 Shard shard-2 Node node-2 port 7002')
    const moves = page.getByRole('list', { name: 'Where product 1 moved' })
    expect(await wordsOf(moves)).toContain('It has not moved')
    // Who has not chosen yet is shown a key that moves.
    await page.reload()
    const first = page.getByRole('list', { name: 'The way of product 7' })
    await expect.poll(() => wordsOf(first)).toMatch(/Node node-\d port/)
    const at = Date.now()
    const because = 'node-5 is primary of shard-2, was nobody'
    world.platform.events.append(anEvent({ at, kind: 'shard', subject: 'shard-2', because }))
    world.platform.show(aStatusAfterDeath('node-2 is dead: node-5 took over shard-2'))
    await expect.poll(() => wordsOf(way)).toContain('Node node-5 port 7005')
    await expect.poll(() => wordsOf(moves)).toMatch(/^slot 8973 · shard-2 · node-2 → node-5 at \d\d:\d\d:\d\d$/)
    await page.getByRole('button', { name: 'product 7', exact: true }).click()
    expect(await wordsOf(page.getByRole('list', { name: 'Where product 7 moved' }))).toContain('It has not moved')
    expect(realComplaints(complaints)).toEqual([])
  })

  test('that is made to hurt is text', async () => {
    const hostile = '<img src=x onerror="globalThis.pwned=1">'
    demo.lose('holdfast', hostile, Date.now())
    await openDemo()
    await page.getByRole('button', { name: hostile }).click()
    await page.getByRole('list', { name: `The way of ${hostile}` }).waitFor()
    expect(await page.locator('img').count()).toBe(0)
    expect(await page.evaluate(() => 'pwned' in globalThis)).toBe(false)
    expect(realComplaints(complaints)).toEqual([])
  })
})

test('crowds say what they cost', async () => {
  await openDemo()
  await page.keyboard.press('b')
  const buyers = page.getByRole('region', { name: '1000 buyers, one product' })
  await expect
    .poll(() => wordsOf(buyers))
    .toContain('1 question to the database for 1,000 callers in two processes, in 46 ms')
  await page.keyboard.press('h')
  const sale = page.getByRole('region', { name: 'Flash sale' })
  await expect.poll(() => wordsOf(sale)).toContain('98 % of the 1,840 reads a second of product 7')
})

test('can be used by keyboard alone', async () => {
  await openDemo()
  await page.locator('#content').focus()
  const reached: string[] = []
  for (let i = 0; i < 9; i++) {
    await page.keyboard.press('Tab')
    reached.push(await page.evaluate(() => document.activeElement?.textContent?.trim() ?? ''))
  }
  expect(reached.slice(0, 4)).toEqual([
    'shop',
    'x Compare with the engine alone',
    'k Kill a primary',
    '2 Kill two at once',
  ])
  expect(reached.at(-1)).toBe('h Flash sale')
  const outline = await page.evaluate(() => getComputedStyle(document.activeElement!).outlineStyle)
  expect(outline).toBe('solid')
})

test.each([
  { name: 'light', colorScheme: 'light', width: 1400 },
  { name: 'dark', colorScheme: 'dark', width: 1400 },
  { name: 'narrow', colorScheme: 'light', width: 390 },
  { name: 'narrow-dark', colorScheme: 'dark', width: 390 },
] as const)('fits its window and can be read: $name', async ({ name, colorScheme, width }) => {
  await demo.press('compare', 'admin')
  demo.play(20)
  await demo.press('kill', 'admin')
  demo.explain()
  const [{ at: killedAt } = { at: 0 }] = demo.state().marks
  demo.lose('bare', '{w3}:acked:10017', killedAt)
  demo.play(25)
  await demo.press('database', 'admin')
  await demo.press('buyers', 'admin')
  demo.play(15)
  await openDemo({ colorScheme, viewport: { width, height: 900 }, reducedMotion: 'reduce' })
  await expect.poll(() => page.locator('.chart canvas').count()).toBe(8)
  await picture(page, `demo-${name}`)
  expect(await sideways(page)).toBe(0)
  expect(await page.evaluate(contrastsBelow, 4.5)).toEqual([])
  expect(realComplaints(complaints)).toEqual([])
})
