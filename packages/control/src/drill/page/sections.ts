import type { DrillReport, Promotion, Share } from '@holdfast/core'
import { drillClients, formatDuration } from '@holdfast/core'
import type { Markup } from './markup.ts'
import { markup } from './markup.ts'

export function promiseTable({ promises }: DrillReport): Markup {
  const rows = promises.map(
    ({ what, because, kept, found }) =>
      markup`<tr><td class="mark ${kept ? 'yes' : 'no'}">${kept ? '✓ kept' : '✗ broken'}</td><td>${what}<small>${because}</small></td><td>${found}</td></tr>`,
  )
  return markup`<div class="scroll"><table><thead><tr><th></th><th>Promise, and why</th><th>Found</th></tr></thead><tbody>${rows}</tbody></table></div>`
}

export function outageTable({ outages, targets }: DrillReport): Markup {
  const isHit = (shard: string): boolean => targets.some((target) => target.shard === shard)
  const rows = outages.map(
    (one) =>
      markup`<tr class="${isHit(one.shard) ? 'hit' : ''}"><td>${one.shard}</td><td>${one.client}${drillClients[one.client].isOurs ? '' : markup`<small>told, not judged</small>`}</td>${[one.longestGapMs, one.gapsMs, one.quietGapMs].map((ms) => markup`<td class="n">${formatDuration(ms)}</td>`)}${[one.acknowledged, one.failed, one.indeterminate].map((count) => markup`<td class="n">${count}</td>`)}</tr>`,
  )
  const titles = ['Longest gap', 'All gaps', 'Before the fault', 'Acknowledged', 'Failed', 'Undecided']
  return markup`<div class="scroll"><table><thead><tr><th>Shard</th><th>Client</th>${titles.map((title) => markup`<th class="n">${title}</th>`)}</tr></thead><tbody>${rows}</tbody></table></div>`
}

/** Who took over from whom, and where the time went. */
export function handovers({ promotions, shares }: DrillReport): Markup | string {
  if (promotions.length === 0) return ''
  const parts = promotions.map((promotion) => {
    const share = shares.find(({ shard, to }) => shard === promotion.shard && to === promotion.to)
    return markup`<div class="handover">${handover(promotion)}${share === undefined ? '' : split(share)}</div>`
  })
  return markup`<section><h2>Who took over</h2><p class="muted">A replica that was at the former primary's offset has all that it had. Both are as last seen before the promotion, and not in the same instant.</p>${parts}</section>`
}

function handover({ shard, from, to, offsetBefore, offsetAfter }: Promotion): Markup {
  const known = (offset: number | null): string => (offset === null ? 'not known' : String(offset))
  return markup`<p><strong>${shard}: ${from ?? 'nobody'} → ${to}</strong> <span class="muted">offset ${known(offsetAfter)}, the former primary's ${known(offsetBefore)}</span></p>`
}

function split({ because, detectionMs, promotionMs, clientMs }: Share): Markup {
  const own = clientMs.cache ?? Object.values(clientMs)[0] ?? 0
  const parts: [name: string, ms: number, colour: string][] = [
    ['known and asked', detectionMs ?? 0, 'var(--seen)'],
    [detectionMs === null ? 'elected by the engines themselves' : 'promoted', promotionMs, 'var(--asked)'],
    ['the client writes again', own, 'var(--wrote)'],
  ]
  const shown = parts.filter(([, ms]) => ms > 0)
  const clients = Object.entries(clientMs).map(([client, ms]) => `${client} ${formatDuration(ms)}`)
  return markup`${because === null ? '' : markup`<p class="muted">${because}</p>`}<div class="split">${shown.map(([, ms, colour]) => markup`<i style="flex:${ms.toFixed(0)};background:${colour}"></i>`)}</div>
<ul class="legend">${shown.map(([name, ms, colour]) => markup`<li><i style="background:${colour}"></i>${name}: ${formatDuration(ms)}</li>`)}</ul>
<p class="muted">From then until each client wrote again: ${clients.join(', ') || 'none did'}.</p>`
}

export function lostWrites({ writes }: DrillReport): Markup | string {
  if (writes.lost === 0) return ''
  const rows = writes.lostFirst.map(
    ({ client, shard, key, ackedMs, found }) =>
      markup`<tr><td>${client}</td><td>${shard}</td><td><code>${key}</code></td><td class="n">${sinceFault(ackedMs)}</td><td>${found}</td></tr>`,
  )
  const range = `${sinceFault(writes.lostFromMs ?? 0)} to ${sinceFault(writes.lostToMs ?? 0)}`
  const byClient = Object.entries(writes.lostBy).map(([client, count]) => `${client} ${count}`)
  return markup`<section class="long"><h2>Lost writes</h2><p class="muted">${writes.lost} in all (${byClient.join(', ')}), acknowledged ${range} around the fault. The first ${rows.length}:</p><div class="scroll"><table><thead><tr><th>Client</th><th>Shard</th><th>Key</th><th class="n">Acknowledged</th><th>Now</th></tr></thead><tbody>${rows}</tbody></table></div></section>`
}

export function steps({ timeline, faultAt }: DrillReport): Markup | string {
  if (timeline.length === 0) return ''
  const items = timeline.map(
    ({ at, because }) => markup`<li><time>${sinceFault(at - faultAt)}</time><span>${because}</span></li>`,
  )
  return markup`<section class="long"><h2>What happened</h2><p class="muted">The controller's own log, word for word; times are since the fault.</p><details ${timeline.length > 40 ? '' : 'open'}><summary>${timeline.length} entries</summary><ol class="steps">${items}</ol></details></section>`
}

const sinceFault = (ms: number): string => `${ms < 0 ? '−' : '+'}${(Math.abs(ms) / 1000).toFixed(3)} s`
