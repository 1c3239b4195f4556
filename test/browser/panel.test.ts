import type { Browser, BrowserContext, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { createAuthority, issuePair } from '../../packages/control/src/pki/authority.ts'
import { RenewedCredentials } from '../../packages/control/src/pki/renewed-credentials.ts'
import { listenOutside } from '../../packages/control/src/server/outside.ts'
import { aNode, aStatus, aStatusAfterDeath } from '../../packages/control/test/server/demo-status.ts'
import { anEvent } from '../../packages/control/test/server/memory-platform.ts'
import { aWorld, password, type World } from '../../packages/control/test/server/support.ts'
import { playAfternoon, playSecond } from './demo.ts'
import {
  buildPanel,
  contrastsBelow,
  launchBrowser,
  realComplaints,
  sideways,
  signInAt,
  picture as takePicture,
  visit,
} from './stage.ts'

let built: Awaited<ReturnType<typeof buildPanel>>
let browser: Browser
let world: World
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
  world = aWorld({ port: null, panelDir: built.dir })
  base = await world.app.listen({ host: '127.0.0.1', port: 0 })
  playAfternoon(world)
  await openPage()
})
afterEach(async () => {
  await context?.close()
  await world.close()
})

async function openPage(options: Parameters<typeof visit>[1] = {}): Promise<void> {
  await context?.close()
  ;({ context, page, complaints } = await visit(browser, options))
}

const signIn = (at = '/'): Promise<void> => signInAt(page, base + at, password)
const picture = (name: string): Promise<void> => takePicture(page, name)

describe('signing in', () => {
  test('leads from any address to the page that was asked for', async () => {
    await signIn('/d/shop')
    await page.getByRole('heading', { name: 'Shop cache' }).waitFor()
    expect(new URL(page.url()).pathname).toBe('/d/shop')
    expect(realComplaints(complaints)).toEqual([])
  })

  test('works over TLS as well, for a browser on another machine', async () => {
    const address = '127.0.0.9'
    const authority = await createAuthority('/home/of/a/test', Date.now())
    const grant = { identity: { role: 'controller', name: 'c-1' }, addresses: [address], now: Date.now() } as const
    const shown = new RenewedCredentials(await issuePair(authority, grant))
    const port = Number(new URL(base).port)
    const outside = await listenOutside(world.app, { address, port, names: [], files: null }, shown)
    try {
      await openPage({ ignoreHTTPSErrors: true })
      await signInAt(page, `${outside.url}/d/shop`, password)
      await page.getByRole('heading', { name: 'Shop cache' }).waitFor()
      expect((await context.cookies()).map(({ name, secure }) => [name, secure])).toEqual([
        ['__Host-holdfast_session', true],
      ])
      expect(realComplaints(complaints)).toEqual([])
    } finally {
      await outside.close()
    }
  })

  test('a wrong password is said, and read aloud', async () => {
    await page.goto(base)
    await page.getByLabel('Name').fill('admin')
    await page.getByLabel('Password').fill('wrong')
    await page.keyboard.press('Enter')
    await page.getByRole('alert').filter({ hasText: 'Wrong name or password.' }).waitFor()
    await picture('login')
  })

  test('signing out ends the session here and on the server', async () => {
    await signIn('/d/shop')
    const [cookie] = await context.cookies()
    await page.getByRole('button', { name: 'Sign out' }).click()
    await page.getByRole('heading', { name: 'Sign in' }).waitFor()
    expect(await page.getByText('node-1').count()).toBe(0)
    await expect
      .poll(async () => {
        const headers = { cookie: `${cookie?.name}=${cookie?.value}` }
        return (await fetch(`${base}/api/v1/session`, { headers })).status
      })
      .toBe(401)
    await page.goto(`${base}/d/shop`)
    await page.getByRole('heading', { name: 'Sign in' }).waitFor()
  })

  test('a session that ends on the server brings the door back', async () => {
    await signIn('/d/shop')
    world.clock.advance(31 * 60_000)
    await page.getByRole('heading', { name: 'Sign in' }).waitFor()
  })
})

describe('the list', () => {
  test('shows every deployment and leads to it by keyboard', async () => {
    await world.platform.apply({ name: 'fresh' }, null, 'cli')
    await signIn()
    await page.getByText('nobody has looked at it yet').waitFor()
    await picture('list')
    await page.getByRole('link', { name: /Shop cache/ }).focus()
    await page.keyboard.press('Enter')
    await page.getByRole('heading', { name: 'Nodes' }).waitFor()
    await page.goBack()
    await page.getByRole('heading', { name: 'Deployments' }).waitFor()
    expect(realComplaints(complaints)).toEqual([])
  })

  test('a deployment that comes later appears by itself', async () => {
    await signIn()
    world.platform.show(aStatus({ name: 'later', displayName: 'Came later' }))
    await page.getByText('Came later').waitFor()
  })
})

describe('a deployment', () => {
  test('shows its sentence, shards, nodes and what happened', async () => {
    await signIn('/d/shop')
    await page.getByRole('status').filter({ hasText: '3 shards, 6 of 6 nodes' }).waitFor()
    const shards = page.getByRole('table').filter({ hasText: '0-5460' })
    expect(await shards.getByRole('row').count()).toBe(4)
    const row = page.getByRole('row').filter({ hasText: '7005' })
    expect((await row.innerText()).replaceAll(/\s+/g, ' ')).toContain('node-5 shard-2 replica ok 7005 20415')
    for (const words of [
      'valkey 8.1.4',
      '8677-9c851ce4, epoch 7, lease held',
      'of the machine',
      'killed by signal 9',
    ]) {
      await page.getByText(words).first().waitFor()
    }
    expect(realComplaints(complaints)).toEqual([])
  })

  test('a change that the server pushes appears by itself', async () => {
    await signIn('/d/shop')
    const headline = page.getByRole('status').filter({ hasText: '6 of 6 nodes' })
    await headline.waitFor()
    const because = 'node-2 is dead: node-5 took over shard-2, node-2 is being started'
    world.platform.show(aStatusAfterDeath(because))
    world.platform.events.append(anEvent({ kind: 'node', subject: 'node-2', because: 'node-2 died again' }))
    await page.getByRole('status').filter({ hasText: because }).waitFor()
    await page.getByRole('cell', { name: 'node-2 died again' }).waitFor()
    const dead = page.getByRole('row', { name: /^node-2 shard-2/ })
    expect((await dead.innerText()).replaceAll(/\s+/g, ' ')).toContain('node-2 shard-2 unknown dead 7002')
    expect(await page.title()).toBe('Not ready · Shop cache – Holdfast')
    await picture('not-ready')
  })

  test('what was not seen is unknown, never zero', async () => {
    const blind = {
      role: 'unknown',
      state: 'unknown',
      memoryBytes: null,
      opsPerSecond: null,
      keys: null,
      clients: null,
    } as const
    const nodes = [aNode({ ...blind, link: null, lag: null, epoch: null, pid: null, memoryMaxBytes: null })]
    const shards = [{ id: 'shard-1', slots: [[0, 16383]] as const, primary: 'node-1', replicas: [] }]
    world.platform.show(
      aStatus({ ready: 'unknown', because: 'nobody answers', engine: null, nodes, shards, copiesInSync: 0 }),
    )
    await signIn('/d/shop')
    await page.getByRole('status').filter({ hasText: 'nobody answers' }).waitFor()
    const row = await page.getByRole('row').filter({ hasText: '7001' }).innerText()
    expect(row.match(/unknown/g)?.length).toBe(10)
    const figures = await page.locator('.tile-value').allInnerTexts()
    expect(figures).toEqual(['unknown', 'unknown', 'unknown', 'unknown'])
    await picture('unknown')
  })

  test('a lost connection is said, until the server is back', async () => {
    await signIn('/d/shop')
    await page.getByText('killed by signal 9').waitFor()
    const { port } = new URL(base)
    await world.app.close()
    await page.getByText('Connection lost, trying again').waitFor()
    await picture('lost')
    // The controller starts again: sessions are gone with it, so the door comes back.
    const again = aWorld({ port: null, panelDir: built.dir })
    try {
      await again.app.listen({ host: '127.0.0.1', port: Number(port) })
      await page.getByRole('heading', { name: 'Sign in' }).waitFor()
    } finally {
      await again.close()
    }
  })

  test('one that does not exist is said', async () => {
    await signIn('/d/shop')
    await page.goto(`${base}/d/none`)
    await page.getByRole('heading', { name: 'there is no deployment none.' }).waitFor()
  })

  test('can be used by keyboard alone', async () => {
    await signIn('/d/shop')
    await page.getByRole('heading', { name: 'Nodes' }).waitFor()
    await page.reload()
    await page.getByRole('heading', { name: 'Nodes' }).waitFor()
    const reached = []
    for (let i = 0; i < 7; i++) {
      await page.keyboard.press('Tab')
      reached.push(
        await page.evaluate(() => document.activeElement?.textContent?.trim() || document.activeElement?.ariaLabel),
      )
    }
    expect(reached.slice(0, 4)).toEqual(['Skip to content', 'Holdfast', 'Deployments', 'Sign out'])
    const outline = await page.evaluate(() => getComputedStyle(document.activeElement!).outlineStyle)
    expect(outline).toBe('solid')
  })

  test.each([
    { name: 'light', colorScheme: 'light', width: 1400 },
    { name: 'dark', colorScheme: 'dark', width: 1400 },
    { name: 'narrow', colorScheme: 'light', width: 390 },
    { name: 'narrow-dark', colorScheme: 'dark', width: 390 },
  ] as const)('fits its window and can be read: $name', async ({ name, colorScheme, width }) => {
    await openPage({ colorScheme, viewport: { width, height: 900 } })
    await signIn('/d/shop')
    await page.getByRole('heading', { name: 'Nodes' }).waitFor()
    for (let second = 0; second < 120; second++) playSecond(world, second)
    const pointsDrawn = async () => (await page.locator('.trend-line').getAttribute('d'))?.split('L').length ?? 0
    await expect.poll(pointsDrawn).toBeGreaterThan(100)
    await picture(name)
    expect(await sideways(page)).toBe(0)
    expect(await page.evaluate(contrastsBelow, 4.5)).toEqual([])
    expect(realComplaints(complaints)).toEqual([])
  })
})

test('hostile names are shown as text and do not run', async () => {
  const hostile = '<img src=x onerror="globalThis.pwned=1;alert(1)">'
  let alerts = 0
  page.on('dialog', (dialog) => {
    alerts++
    void dialog.dismiss()
  })
  const nodes = [aNode({ fence: { epoch: 1, reason: hostile }, hostId: hostile, shard: hostile })]
  const engine = { flavor: hostile, version: hostile, path: hostile }
  const controller = { id: hostile, epoch: 1, lease: 'held' } as const
  const shards = [{ id: hostile, slots: [[0, 99]] as const, primary: null, replicas: [hostile] }]
  world.platform.show(
    aStatus({ displayName: hostile, because: hostile, lossWindow: hostile, engine, controller, nodes, shards }),
  )
  world.platform.events.append(anEvent({ because: hostile, subject: hostile, actor: hostile }))
  await signIn()
  await page.getByText(hostile).first().waitFor()
  await page.getByRole('link', { name: hostile }).click()
  await page.getByRole('heading', { name: hostile }).waitFor()
  await page.getByRole('cell', { name: hostile }).first().waitFor()
  expect(await page.evaluate(() => 'pwned' in globalThis)).toBe(false)
  expect(await page.locator('img').count()).toBe(0)
  expect(alerts).toBe(0)
  expect(realComplaints(complaints)).toEqual([])
})

test('the policy is in force: the page itself could not run what it did not bring', async () => {
  await signIn()
  await page.evaluate(() => {
    const script = document.createElement('script')
    script.textContent = 'globalThis.pwned = 1'
    document.body.append(script)
  })
  expect(await page.evaluate(() => 'pwned' in globalThis)).toBe(false)
  await expect.poll(() => complaints.join('\n')).toContain('Content Security Policy')
})
