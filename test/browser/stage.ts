/** The built panel in a real browser, in front of a server without engines. */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core'
import { build } from 'vite'

/** Builds the panel as it is now. Answers where it lies, and how to remove it. */
export async function buildPanel(): Promise<{ readonly dir: string; remove(): void }> {
  const dir = mkdtempSync(join(tmpdir(), 'holdfast-built-'))
  await build({
    root: fileURLToPath(new URL('../../packages/panel', import.meta.url)),
    logLevel: 'warn',
    build: { outDir: dir },
  })
  return { dir, remove: () => rmSync(dir, { recursive: true, force: true }) }
}

export const launchBrowser = (): Promise<Browser> =>
  chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  })

export interface Visit {
  readonly context: BrowserContext
  readonly page: Page
  /** What the page complained about: thrown errors, and console errors such as violations of the policy. */
  readonly complaints: string[]
}

/** A fresh browser profile with one page. */
export async function visit(browser: Browser, options: Parameters<Browser['newContext']>[0] = {}): Promise<Visit> {
  const context = await browser.newContext({ viewport: { width: 1400, height: 900 }, ...options })
  const page = await context.newPage()
  page.setDefaultTimeout(20_000)
  const complaints: string[] = []
  page.on('pageerror', (error) => complaints.push(String(error)))
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') complaints.push(message.text())
  })
  return { context, page, complaints }
}

/** What a page not signed in must see once, asking who it is. Everything else is a complaint. */
const expected401 = /status of 401/

export const realComplaints = (complaints: readonly string[]): string[] =>
  complaints.filter((line) => !expected401.test(line))

export async function signInAt(page: Page, address: string, password: string): Promise<void> {
  await page.goto(address)
  await page.getByLabel('Name').fill('admin')
  await page.getByLabel('Password').fill(password)
  await page.getByRole('button', { name: 'Sign in' }).click()
  await page.getByText('Live', { exact: true }).waitFor()
}

/** With PICTURES=dir in the environment, what the page looks like at this point. */
export async function picture(page: Page, name: string): Promise<void> {
  const dir = process.env.PICTURES
  if (dir === undefined) return
  mkdirSync(dir, { recursive: true })
  await page.screenshot({ path: join(dir, `${name}.png`), fullPage: true })
}

/** How far the page can be moved sideways, px: 0 when it fits. */
export const sideways = (page: Page): Promise<number> =>
  page.evaluate(() => document.documentElement.scrollWidth - innerWidth)

/** Runs in the page: every text whose contrast with the ground behind it is below the wanted one. */
export function contrastsBelow(wanted: number): string[] {
  const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true })
  if (canvas === null) throw new Error('no canvas')
  const rgb = (colour: string): number[] => {
    canvas.clearRect(0, 0, 1, 1)
    canvas.fillStyle = colour
    canvas.fillRect(0, 0, 1, 1)
    return [...canvas.getImageData(0, 0, 1, 1).data]
  }
  const luminance = (colour: string): number => {
    const [r = 0, g = 0, b = 0] = rgb(colour).map((part) => {
      const share = part / 255
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4
    })
    return 0.2126 * r + 0.7152 * g + 0.0722 * b
  }
  const groundOf = (element: Element | null): string => {
    if (element === null) return '#ffffff'
    const ground = getComputedStyle(element).backgroundColor
    return rgb(ground)[3] === 0 ? groundOf(element.parentElement) : ground
  }
  const low = new Set<string>()
  for (const element of document.querySelectorAll('body *')) {
    const text = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent?.trim() !== '')
    if (!text || element.closest('svg, [aria-hidden]') !== null || !element.checkVisibility()) continue
    const [a, b] = [luminance(getComputedStyle(element).color), luminance(groundOf(element))].sort((x, y) => y - x)
    const contrast = ((a ?? 0) + 0.05) / ((b ?? 0) + 0.05)
    if (contrast < wanted) low.add(`${element.className} "${element.textContent?.slice(0, 30)}" ${contrast.toFixed(2)}`)
  }
  return [...low]
}
