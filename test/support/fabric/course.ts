/** One fault from the first write to the last key read back. */
import { setTimeout as delay } from 'node:timers/promises'
import type { ClientKind } from '@holdfast/core'
import type { WriterPlan } from '../../../packages/control/src/drill/workload.ts'
import { wallNow } from '../../../packages/control/src/drill/workload.ts'
import { tagsOf, writersFor } from '../../../packages/control/src/drill/writers.ts'
import { eventually } from '../eventually.ts'
import type { Clients, Found } from './clients.ts'
import type { Fabric } from './fabric.ts'
import type { FabricFault } from './faults.ts'
import { faultKind } from './faults.ts'
import type { ReadsSeen } from './reader.ts'
import type { Seen, Subject, SubjectName } from './subject.ts'

export interface CourseTerms {
  readonly fabric: Fabric
  readonly clients: Clients
  readonly subject: Subject
  readonly fault: FabricFault
  readonly forMs: number
  /** How long it is watched once all is whole again: what was frozen or cut off can do harm when it is back. Default 4 s. */
  readonly lookOnMs?: number
}

/** What one kind of client saw of one fault. */
export interface Row {
  readonly subject: SubjectName
  readonly fault: FabricFault
  readonly client: ClientKind
  /** How long the fault lasted, s. */
  readonly forSeconds: number
  readonly acknowledged: number
  readonly failed: number
  readonly indeterminate: number
  readonly lost: number
  /** When the first and the last lost write was acknowledged, ms after the fault; null: none is lost. */
  readonly lostFromMs: number | null
  readonly lostToMs: number | null
  /**
   * When the last of them was sent. Whoever waits without a timeout may hear of a write long after it was done: an answer that a cut
   * held up comes when it heals.
   */
  readonly lostSentToMs: number | null
  /** Of the shard that was hit: the longest time without an acknowledgement, and all above 100 ms together. */
  readonly longestGapMs: number
  readonly gapsMs: number
  /** Acknowledged writes whose key nobody could read. */
  readonly unread: number
  /** What an application saw that reads by it; null: nobody reads so. */
  readonly reads: ReadsSeen | null
  /** After how long another controller acted; null: nobody had to. */
  readonly takenOverMs: number | null
}

/** Writing before the fault. */
const quietMs = 1500
/** A client without a timeout may hang for longer than anybody waits. */
const writesAgainWithinMs = 15_000
const settledWithinMs = 90_000
/** One course; above all that it waits for, so that nothing that hangs holds up the others. */
const courseWithinMs = 300_000
const controllerWithinMs = 30_000
const restMs = 10

export async function runCourse(terms: CourseTerms): Promise<Row[]> {
  const over = new AbortController()
  const late = delay(courseWithinMs, undefined, { signal: over.signal }).then(() => {
    throw new Error(`not over after ${courseWithinMs / 1000} s`)
  })
  late.catch(() => {})
  try {
    return await Promise.race([run(terms), late])
  } finally {
    over.abort()
  }
}

async function run(terms: CourseTerms): Promise<Row[]> {
  const { fabric, clients, subject, fault, forMs, lookOnMs = 4000 } = terms
  const { injury: injuryOf, falls = 'beside the controllers', takesController = false } = faultKind(fault)
  await whole(subject, 'to begin with')
  const hit = await subject.hit(falls)
  const seen = await whole(subject, 'to begin with')
  const injury = await injuryOf({ fabric, subject, hit })
  const before = takesController ? await subject.acting() : ''
  const [tags, drill] = [tagsOf(seen), `${fault}-${Math.round(wallNow()).toString(36)}`]
  const writers = writersFor(subject.clients, tags)
  await clients.write({ drill, where: await subject.where(), writers, restMs })
  await writesAgain(clients, writers, 0, settledWithinMs)
  await delay(quietMs)
  const injured = await fabric.injure(injury, forMs)
  const takenOver = takesController ? takenOverAfter(subject, before, injured.injectedAt) : null
  await delay(forMs)
  const healedAt = await injured.healed
  const takenOverMs = await takenOver
  await subject.revive()
  const copies = await whole(subject, 'again')
  await writesAgain(clients, writers, Math.max(healedAt, wallNow() - 500), writesAgainWithinMs).catch(() => {})
  await delay(lookOnMs)
  const reads = await clients.stop()
  const window = { faultAt: injured.injectedAt, until: wallNow() }
  const last = await whole(subject, 'in the end').catch(() => copies)
  const found = await clients.check(last, { ...subject.access, tags, drill }, window)
  return subject.clients.map((client) => ({
    ...rowOf(terms, client, found, { faultAt: window.faultAt, shard: hit.shard }),
    reads: client === 'cache' ? reads : null,
    takenOverMs,
  }))
}

const whole = (subject: Subject, when: string): Promise<Seen> =>
  eventually(() => subject.seen(), {
    withinMs: settledWithinMs,
    everyMs: 250,
    what: `${subject.name} is whole ${when}`,
  })

/** Until another controller acts than the one that did. */
async function takenOverAfter(subject: Subject, before: string, since: number): Promise<number | null> {
  const acts = async (): Promise<boolean> => (await subject.acting()) !== before
  const isActing = eventually(acts, { withinMs: controllerWithinMs, everyMs: 50, what: 'another controller acts' })
  return isActing.then(
    () => Math.round(wallNow() - since),
    () => null,
  )
}

/** Until every writer has had an acknowledgement since then. */
async function writesAgain(clients: Clients, writers: readonly WriterPlan[], since: number, withinMs: number) {
  const wrote = async (): Promise<void> => {
    const acked = await clients.acked(since)
    const waitedFor = writers.map(({ client, shard }) => `${client} ${shard}`).filter((name) => !acked.includes(name))
    if (waitedFor.length > 0) throw new Error(`nothing from ${waitedFor.join(', ')}`)
  }
  await eventually(wrote, { withinMs, everyMs: 100, what: 'all writers write' })
}

function rowOf(
  { subject, fault, forMs }: CourseTerms,
  client: ClientKind,
  { check, outages }: Found,
  fell: { readonly faultAt: number; readonly shard: string },
): Omit<Row, 'reads' | 'takenOverMs'> {
  const ofClient = outages.filter((outage) => outage.client === client)
  const hit = ofClient.find(({ shard }) => shard === fell.shard)
  const lost = check.lost.map(({ operation }) => operation).filter((operation) => operation.client === client)
  const lostAt = (field: 'begunAt' | 'endedAt'): number[] =>
    lost.map((operation) => Math.round(operation[field] - fell.faultAt)).sort((a, b) => a - b)
  const sum = (field: 'acknowledged' | 'failed' | 'indeterminate'): number =>
    ofClient.reduce((total, outage) => total + outage[field], 0)
  return {
    subject: subject.name,
    fault,
    client,
    forSeconds: forMs / 1000,
    acknowledged: sum('acknowledged'),
    failed: sum('failed'),
    indeterminate: sum('indeterminate'),
    lost: lost.length,
    lostFromMs: lostAt('endedAt')[0] ?? null,
    lostToMs: lostAt('endedAt').at(-1) ?? null,
    lostSentToMs: lostAt('begunAt').at(-1) ?? null,
    longestGapMs: Math.round(hit?.longestGapMs ?? 0),
    gapsMs: Math.round(hit?.gapsMs ?? 0),
    unread: check.unread.filter((key) => key.includes(`:${client}:`)).length,
  }
}
