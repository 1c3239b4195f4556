/* Holdfast on four hosts, as people start it. What a cut between hosts does is tested where the fence is. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { Clients } from '../support/fabric/clients.ts'
import type { Row } from '../support/fabric/course.ts'
import { runCourse } from '../support/fabric/course.ts'
import { Fabric } from '../support/fabric/fabric.ts'
import type { FabricFault } from '../support/fabric/faults.ts'
import type { Subject, SubjectName } from '../support/fabric/subject.ts'
import { openSubject } from '../support/fabric/subjects.ts'

/** Until then the engine itself has not noticed anything: the spec's default of `timeouts.node`. */
const engineNoticesAfterMs = 5000
const forMs = 3000
/** Of which a machine with nothing else to do needs a fifth. */
const withinMs = 240_000

let fabric: Fabric
let clients: Clients
let subject: Subject

beforeEach(async () => {
  fabric = await Fabric.up()
  clients = new Clients(fabric)
}, withinMs)

afterEach(async () => {
  clients?.close()
  await fabric?.close()
})

const bringUp = async (name: SubjectName): Promise<void> => {
  subject = await openSubject(name, fabric, clients)
}

const suffer = (fault: FabricFault): Promise<Row[]> => runCourse({ fabric, clients, subject, fault, forMs })

/** Every client wrote, and each acknowledged key was read. */
function expectNothingLost(rows: readonly Row[]): void {
  for (const row of rows) {
    expect(row).toMatchObject({ lost: 0, unread: 0 })
    expect(row.acknowledged).toBeGreaterThan(50)
  }
}

describe('four hosts in three zones', () => {
  test(
    'class durable loses nothing that it acknowledged, be a primary killed or started empty',
    async () => {
      await bringUp('holdfast-durable')
      expectNothingLost(await suffer('engine-killed'))
      expectNothingLost(await suffer('engine-emptied'))
    },
    withinMs,
  )

  test(
    'class cache writes again before the engine itself has noticed that a primary is gone',
    async () => {
      await bringUp('holdfast-cache')
      for (const { longestGapMs } of await suffer('engine-killed'))
        expect(longestGapMs).toBeLessThan(engineNoticesAfterMs)
    },
    withinMs,
  )
})
