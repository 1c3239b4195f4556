import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { renderPage } from '../../packages/control/src/drill/page/page.ts'
import { aReport, type ReportChanges } from '../../packages/control/test/drill/a-report.ts'
import { contrastsBelow, launchBrowser, picture, sideways, visit } from './stage.ts'

let browser: Browser
let folder: string

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-page-'))
  browser = await launchBrowser()
})
afterAll(async () => {
  await browser?.close()
  rmSync(folder, { recursive: true })
})

/** The page as somebody opens it: from a file, with nothing beside it. */
async function open(changes: ReportChanges, options: Parameters<typeof visit>[1]) {
  const path = join(folder, 'drill.html')
  writeFileSync(path, renderPage(aReport(changes)))
  const visited = await visit(browser, options)
  const requests: string[] = []
  visited.page.on('request', (request) => requests.push(request.url()))
  await visited.page.goto(pathToFileURL(path).href)
  return { ...visited, requests: () => requests.filter((url) => !url.startsWith('file:') && !url.startsWith('data:')) }
}

const looks = [
  { colorScheme: 'light', viewport: { width: 1200, height: 900 } },
  { colorScheme: 'dark', viewport: { width: 1200, height: 900 } },
  { colorScheme: 'light', viewport: { width: 380, height: 800 } },
] as const

describe("a drill's page", () => {
  test.each(looks)(
    'can be read in $colorScheme at $viewport.width px, asks nobody for anything and complains of nothing',
    async (look) => {
      const { context, page, complaints, requests } = await open({ lost: 3, standstillMs: 900 }, look)
      await page
        .getByRole('heading', { level: 1, name: 'shop lost 3 acknowledged writes and did not keep every promise' })
        .waitFor()
      expect(await page.getByRole('img', { name: /Acknowledged writes over time/ }).boundingBox()).toMatchObject({
        y: expect.any(Number) as number,
      })
      for (const name of ['What was promised', 'Who took over', 'Lost writes', 'Outage by client', 'What happened']) {
        expect(await page.getByRole('heading', { name }).isVisible()).toBe(true)
      }
      expect(await page.locator('svg .track').count()).toBe(12)
      expect(await sideways(page)).toBe(0)
      expect(await page.evaluate(contrastsBelow, 4.5)).toEqual([])
      expect(complaints).toEqual([])
      expect(requests()).toEqual([])
      await picture(page, `drill-${look.colorScheme}-${look.viewport.width}`)
      await context.close()
    },
  )

  test('shows all that happened in print, too', async () => {
    const { context, page } = await open({}, { viewport: { width: 1000, height: 900 } })
    await page.emulateMedia({ media: 'print' })
    expect(await page.getByText('promote (force) node-4').isVisible()).toBe(true)
    expect(await page.getByText('✓ Kept', { exact: true }).isVisible()).toBe(true)
    await context.close()
  })

  test('runs nothing that somebody has written into it', async () => {
    const hostile = '<img src=x onerror="document.title=1"><script>document.title=2</script>'
    const { context, page, complaints } = await open({ what: hostile, notes: [hostile] }, {})
    expect(await page.title()).toMatch(/^Drill: kill-primary on shop/)
    expect(await page.getByText(hostile).first().isVisible()).toBe(true)
    expect(complaints).toEqual([])
    await context.close()
  })
})
