import { readFileSync, writeFileSync } from 'node:fs'
import type { Socket } from 'node:net'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { TestDeployment } from '../support/deployment.ts'
import { eventually } from '../support/eventually.ts'

/* An engine that does not start: said clearly, tried again less and less often, and healed when the cause is gone. */
describe('an engine that does not start', () => {
  let it: TestDeployment

  beforeAll(async () => {
    it = await TestDeployment.up()
  })

  afterAll(async () => {
    await it?.close()
  })

  test('its port is taken: the sentence names the port, and it starts once the port is free', async () => {
    const replica = it.replicaOf('shard-1')
    const mark = it.mark
    await it.stopController()
    it.kill(replica.id)
    // It takes every connection and never says a word, as something that is no engine may well do.
    const visitors = new Set<Socket>()
    const squatter = createServer((visitor) => void visitors.add(visitor))
    await eventually(
      () =>
        new Promise<void>((resolve, reject) => {
          squatter.once('error', reject)
          squatter.listen(replica.port, replica.host, resolve)
        }),
    )
    try {
      await it.startController()
      await eventually(() => /failed to start \d+ times/.test(it.status().because), { withinMs: 10_000 })
      expect(it.status().because).toContain(`port ${replica.port} of 127.0.0.1 is in use`)
      const failures = it.told('failed', mark)
      expect(failures[0]).toContain('end what listens there, or choose another expose.basePort')
      expect(failures.length).toBeLessThan(6)
    } finally {
      const closed = new Promise<void>((resolve) => void squatter.close(() => resolve()))
      for (const visitor of visitors) visitor.destroy()
      await closed
    }
    await it.ready()
  })

  test('it refuses its files: its own last words are in the sentence, and it starts once they are mended', async () => {
    const replica = it.replicaOf('shard-2')
    const damaged = join(it.place.dataDir(it.name, replica.id), 'nodes.conf')
    it.kill(replica.id)
    const original = damage(damaged)
    try {
      await eventually(() => it.status().because.includes(`${replica.id} failed to start`), { withinMs: 10_000 })
      expect(it.status().because).toMatch(/corrupted cluster config file/i)
    } finally {
      writeFileSync(damaged, original)
    }
    await it.ready()
  })
})

/** Puts nonsense into nodes.conf; answers what was there. */
function damage(path: string): string {
  const original = readFileSync(path, 'utf8')
  writeFileSync(path, `${original.slice(0, 40)} nonsense\n`)
  return original
}
