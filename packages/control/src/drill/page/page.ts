/**
 * A drill's report as one page that needs nothing else: for an incident review, for print, for somebody who knows
 * nothing of it yet. The verdict comes first and in plain words; what it rests on follows.
 */
import type { DrillReport, Outage } from '@holdfast/core'
import { clientKinds, drillClients, formatDuration } from '@holdfast/core'
import { Markup, markup } from './markup.ts'
import { handovers, lostWrites, outageTable, promiseTable, steps } from './sections.ts'
import { pageStyle } from './style.ts'
import { drawTimeline } from './timeline.ts'

export function renderPage(report: DrillReport): string {
  const { deployment, fault, faultAt, notes, id } = report
  const title = `Drill: ${fault} on ${deployment}, ${dayOf(faultAt)}`
  const page = markup`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:"><link rel="icon" href="data:,">
<title>${title}</title><style>${new Markup(pageStyle)}</style></head><body><main>
${head(report)}${tiles(report)}
<section><h2>What the clients saw</h2><p class="muted">Each strip is one client writing to one shard: its height is how many writes the engine acknowledged in ${formatDuration(report.pace.everyMs)}. Where it is empty and red, nothing was acknowledged.</p>
<div class="scroll">${drawTimeline(report)}</div>${legend}</section>
<section><h2>What was promised, and what was found</h2><p class="muted">What the specification of ${deployment} promises under this fault. Every line has the reason why that much may be expected, and not more.</p>${promiseTable(report)}</section>
${handovers(report)}${lostWrites(report)}
<section class="long"><h2>Outage by client and shard</h2><p class="muted">The longest time without an acknowledgement since the fault, the sum of all such times above 100 ms, and for comparison the longest before the fault, which is the noise of this machine.</p>${outageTable(report)}</section>
${notes.length === 0 ? '' : markup`<section><h2>Worth knowing</h2><ul class="notes">${notes.map((note) => markup`<li>${note}</li>`)}</ul></section>`}
${steps(report)}
<footer><p>How it was measured: each client wrote keys of its own, one at a time to every shard, from a process of its own. Every operation has one outcome: acknowledged, failed, or undecided where nobody can say. Afterwards every key was read from the node that owns its slot and from every replica, with plain connections. What could not be read counts as not read, never as fine. Drill ${id}, ${dayOf(faultAt)} ${timeOf(faultAt)} UTC.</p></footer>
</main></body></html>
`
  return page.text
}

function head(report: DrillReport): Markup {
  const { verdict, deployment, fault, what, shape, faultAt, cutShort } = report
  return markup`<header class="${verdict.kept ? 'kept' : 'broken'}"><span class="badge">${verdict.kept ? '✓ Kept' : '✗ Broken'}</span>
<h1>${headline(report)}</h1><p class="lead">${story(report)}</p>
${verdict.kept ? '' : markup`<p class="lead"><strong>What was not kept.</strong> ${verdict.because}</p>`}
<dl class="facts"><dt>Fault</dt><dd>${fault}: ${what}</dd><dt>Deployment</dt><dd>${deployment}: ${shape}</dd><dt>When</dt><dd>${dayOf(faultAt)} ${timeOf(faultAt)} UTC</dd>${cutShort === null ? '' : markup`<dt>Ended early</dt><dd>${cutShort}</dd>`}</dl></header>`
}

function headline({ verdict, deployment, writes }: DrillReport): string {
  const lost = writes.lost === 0 ? 'lost no acknowledged write' : `lost ${writes.lost} acknowledged writes`
  return verdict.kept
    ? `${deployment} ${lost} and kept its promises`
    : `${deployment} ${lost}${writes.lost === 0 ? ', but' : ' and'} did not keep every promise`
}

/** The whole drill in a few sentences. */
function story(report: DrillReport): string {
  const { what, outages, writes, readyAt, healedAt, faultAt } = report
  const kinds = clientKinds.filter((kind) => outages.some(({ client }) => client === kind))
  const worst = longest(outages.filter(({ client }) => client === 'cache')) ?? longest(outages)
  const standstill =
    worst === undefined
      ? ''
      : ` For ${drillClients[worst.client].what}, writing stood still for at most ${formatDuration(worst.longestGapMs)} (${worst.shard}).`
  const readBack = writes.unread === 0 ? 'all were read back' : `${writes.unread} could not be read back`
  const whole =
    readyAt === null
      ? ' The deployment did not become whole again while the drill waited.'
      : ` ${formatDuration(Math.max(0, readyAt - faultAt))} after the fault${healedAt !== null && healedAt > faultAt && readyAt >= healedAt ? ', which was healed by then,' : ''} every node was there again with all its data.`
  return `On purpose, this was done to a running deployment: ${what}. Meanwhile ${kinds.length} ${kinds.length === 1 ? 'kind of client' : 'kinds of clients'} (${kinds.join(', ')}) wrote. Of ${grouped(writes.acknowledged)} acknowledged writes ${readBack}, and ${grouped(writes.lost)} are lost.${standstill}${whole}`
}

function tiles({ writes, outages, faultAt, readyAt }: DrillReport): Markup {
  const own =
    longest(outages.filter(({ client }) => drillClients[client].isOurs && client !== 'durable')) ?? longest(outages)
  const all: [value: string, what: string, tone: string][] = [
    [grouped(writes.lost), 'acknowledged writes lost', writes.lost === 0 ? 'ok' : 'bad'],
    [grouped(writes.acknowledged), 'acknowledged and looked for', ''],
    [
      own === undefined ? 'none' : formatDuration(own.longestGapMs),
      `longest standstill of ${own?.client ?? 'anybody'}`,
      '',
    ],
    [grouped(writes.failed + writes.indeterminate), 'failed or undecided, all clients', ''],
    [
      readyAt === null ? 'never' : formatDuration(Math.max(0, readyAt - faultAt)),
      'from the fault until all was whole',
      readyAt === null ? 'bad' : '',
    ],
    [
      grouped(writes.differing),
      `of ${grouped(writes.copiesRead)} copies differ`,
      writes.differing === 0 ? 'ok' : 'bad',
    ],
  ]
  return markup`<ul class="tiles">${all.map(([value, what, tone]) => markup`<li class="${tone}"><b>${value}</b><span>${what}</span></li>`)}</ul>`
}

const longest = (outages: readonly Outage[]): Outage | undefined =>
  outages.reduce<Outage | undefined>((a, b) => (a === undefined || b.longestGapMs > a.longestGapMs ? b : a), undefined)

const legend = markup`<ul class="legend"><li><i style="background:var(--ours)"></i>our client</li><li><i style="background:var(--theirs)"></i>ioredis</li><li><i style="background:var(--bad);opacity:.3"></i>nothing acknowledged</li><li><i style="background:var(--bad);border-radius:50%;width:8px;height:8px"></i>failed or undecided</li></ul>`

const dayOf = (at: number): string => new Date(at).toISOString().slice(0, 10)
const timeOf = (at: number): string => new Date(at).toISOString().slice(11, 23)

/** "12 345", with a space that does not break. */
const grouped = (count: number): string => String(count).replaceAll(/\B(?=(?:\d{3})+$)/g, '\u00a0')
