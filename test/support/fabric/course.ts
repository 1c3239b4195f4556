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
import type { Subject, SubjectName } from './subject.ts'

export interface CourseTerms {
  readonly fabric: Fabric
  readonly clients: Clients
  readonly subject: Subject
  readonly fault: FabricFault
  readonly forMs: number
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
  /** Of the shard that was hit: the longest time without an acknowledgement, and all above 100 ms together. */
  readonly longestGapMs: number
  readonly gapsMs: number
  /** Acknowledged writes whose key nobody could read. */
  readonly unread: number
}

/** Writing before the fault. */
const quietMs = 1500
/** Something that was frozen or cut off can do harm when it is back, and that takes its time. */
const lookOnMs = 4000
/** A client without a timeout may hang for longer than anybody waits. */
const writesAgainWithinMs = 15_000
const settledWithinMs = 90_000
const restMs = 10

export async function runCourse(terms: CourseTerms): Promise<Row[]> {
  const { fabric, clients, subject, fault, forMs } = terms
  const seen = await eventually(() => subject.seen(), { withinMs: settledWithinMs, what: `${subject.name} whole` })
  const hit = await subject.hit()
  const injury = faultKind(fault).injury({ fabric, subject, hit })
  const [tags, drill] = [tagsOf(seen), `${fault}-${Math.round(wallNow()).toString(36)}`]
  const writers = writersFor(subject.clients, tags)
  await clients.write({ drill, where: await subject.where(), writers, restMs })
  await writesAgain(clients, writers, 0, 30_000)
  await delay(quietMs)
  const injured = await fabric.injure(injury, forMs)
  await delay(forMs)
  const healedAt = await injured.healed
  await subject.revive()
  const copies = await eventually(() => subject.seen(), {
    withinMs: settledWithinMs,
    everyMs: 250,
    what: `${subject.name} whole again`,
  })
  await writesAgain(clients, writers, Math.max(healedAt, wallNow() - 500), writesAgainWithinMs).catch(() => {})
  await delay(lookOnMs)
  await clients.stop()
  const window = { faultAt: injured.injectedAt, until: wallNow() }
  const readTerms = { ...subject.access, tags, drill }
  const last = await eventually(() => subject.seen(), { withinMs: settledWithinMs, what: 'whole in the end' }).catch(
    () => copies,
  )
  const found = await clients.check(last, readTerms, window)
  return subject.clients.map((client) => rowOf(terms, client, found, { faultAt: window.faultAt, shard: hit.shard }))
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
): Row {
  const ofClient = outages.filter((outage) => outage.client === client)
  const hit = ofClient.find(({ shard }) => shard === fell.shard)
  const lostAt = check.lost
    .filter(({ operation }) => operation.client === client)
    .map(({ operation }) => Math.round(operation.endedAt - fell.faultAt))
    .sort((a, b) => a - b)
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
    lost: lostAt.length,
    lostFromMs: lostAt[0] ?? null,
    lostToMs: lostAt.at(-1) ?? null,
    longestGapMs: Math.round(hit?.longestGapMs ?? 0),
    gapsMs: Math.round(hit?.gapsMs ?? 0),
    unread: check.unread.filter((key) => key.includes(`:${client}:`)).length,
  }
}
