import { afterAll, beforeAll, expect, test } from 'vitest'
import { Clients } from '../support/fabric/clients.ts'
import { runCourse } from '../support/fabric/course.ts'
import { Fabric } from '../support/fabric/fabric.ts'
import { openSubject } from '../support/fabric/subjects.ts'

let fabric: Fabric
let clients: Clients

beforeAll(async () => {
  fabric = await Fabric.up()
  clients = new Clients(fabric)
})

afterAll(async () => {
  clients?.close()
  await fabric?.close()
})

/* What the other tests of this folder say nothing was lost of is seen here: a loss that there is, is found. */
test('an engine alone that is started empty loses what it had, and its clients hear of nothing', async () => {
  const subject = await openSubject('sentinel', fabric, clients)
  const rows = await runCourse({ fabric, clients, subject, fault: 'engine-emptied', forMs: 2000 })
  const plain = rows.find(({ client }) => client === 'ioredis')
  expect(plain?.lost).toBeGreaterThan(50)
  expect(plain?.lostFromMs).toBeLessThan(0)
  expect(plain?.failed).toBe(0)
})
