import { describe, expect, test } from 'vitest'
import { renderReport } from '../../src/cli/drill-text.ts'
import { renderPage } from '../../src/drill/page/page.ts'
import { aReport } from './a-report.ts'

const hostile = '<script>alert(1)</script> & "quoted" \'too\''

describe('the page of a drill', () => {
  test('says first whether the promise was kept, in words', () => {
    const kept = renderPage(aReport())
    expect(kept).toContain('✓ Kept')
    expect(kept).toContain('<h1>shop lost no acknowledged write and kept its promises</h1>')
    const broken = renderPage(aReport({ standstillMs: 1900 }))
    expect(broken).toContain('✗ Broken')
    expect(broken).toContain('<h1>shop lost no acknowledged write, but did not keep every promise</h1>')
  })

  test('shows the writes that are lost, and when they were acknowledged', () => {
    const page = renderPage(aReport({ lost: 3 }))
    expect(page).toContain('Lost writes')
    expect(page).toContain('{shard-1}holdfast:drill:0badcafe:durable:')
    expect(page).toMatch(/acknowledged −0\.\d{3} s to −?\+?0\.\d{3} s around the fault/)
  })

  test('draws a strip for each client and shard, and a silence where nothing was acknowledged', () => {
    const page = renderPage(aReport({ standstillMs: 900 }))
    expect(page.match(/class="track"/g)).toHaveLength(12)
    expect(page.match(/class="silent"/g)?.length).toBeGreaterThanOrEqual(4)
    expect(page).toContain('node-4 is primary')
    expect(page).not.toMatch(/NaN|undefined|Infinity/)
  })

  test('escapes whatever others wrote', () => {
    const page = renderPage(
      aReport({ deployment: hostile, what: hostile, shape: hostile, notes: [hostile], cutShort: hostile }),
    )
    expect(page).not.toContain('<script')
    expect(page).toContain('&lt;script&gt;alert(1)&lt;/script&gt; &amp; &quot;quoted&quot; &#39;too&#39;')
  })

  test('needs nothing from anywhere', () => {
    const page = renderPage(aReport())
    expect(page).toContain(`content="default-src 'none'; style-src 'unsafe-inline'; img-src data:"`)
    expect(page).not.toMatch(/https?:|src=|@import|url\(/)
  })

  test('is drawn of a drill in which nobody ever wrote, too', () => {
    const page = renderPage(aReport({ operations: [], promotions: [], events: [], readyAt: null, healedAt: null }))
    expect(page).not.toMatch(/NaN|undefined|Infinity/)
  })
})

describe('the text of a drill', () => {
  test('has the verdict in its first line, and every figure that it rests on', () => {
    const text = renderReport(aReport())
    expect(text.split('\n')[0]).toMatch(
      /^KEPT {3}kill-primary on shop: 0 lost writes of \d+ acknowledged, and every promise was kept$/,
    )
    expect(text).toContain('shard-1: node-4 after node-1. Last seen at offset 87524, and node-1 at 87524')
    expect(text).toContain('15 ms until it was known and a replica asked, 46 ms until it was primary')
    expect(text).toContain('+0.014 s  node-1 (primary of shard-1) is dead, node-4 is in sync: promoting it')
    expect(text).toMatch(/^ {2}cache +shard-1 +240 ms/m)
  })
})
