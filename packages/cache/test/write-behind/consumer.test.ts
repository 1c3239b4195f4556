import { expect, test } from 'vitest'
import { HandClock, MemoryServer } from '../../src/testing/index.ts'
import { acceptKeys, acceptScript } from '../../src/write-behind/accept-script.ts'
import { Consumer, type ConsumerPorts } from '../../src/write-behind/consumer.ts'
import { Events } from '../../src/write-behind/events.ts'
import { Losses } from '../../src/write-behind/losses.ts'
import { Partitions } from '../../src/write-behind/partitions.ts'
import { writeBehindSettings } from '../../src/write-behind/settings.ts'

test('a process that stood still between taking and saving does not touch the store', async () => {
  const clock = new HandClock()
  const engine = new MemoryServer({ clock }).connect()
  const partitions = new Partitions('shop:w:', 1)
  const partition = partitions.of('k')
  const args = ['k', 'operation', '0', '1', '1', '10', 'life', '1000']
  const write = { script: acceptScript, keys: acceptKeys(partition, 'k'), args }
  const token = ['HSET', partition.state, 'token', '7']
  const deadlineAt = Number.POSITIVE_INFINITY
  await engine.send({ commands: [write, token], key: partition.state, deadlineAt, kind: 'write' })

  const lost: string[] = []
  const saved: unknown[] = []
  const leases: ConsumerPorts['leases'] = {
    owned: () => [partition],
    token: () => '7',
    // It looks at the clock again, and the lease is over.
    signal: () => undefined,
    lose: (_, because) => lost.push(because),
  }
  const sink: ConsumerPorts['sink'] = {
    save: async (entries) => {
      saved.push(...entries)
      return entries.map(({ version }) => version)
    },
    answers: async () => true,
  }
  const settings = writeBehindSettings()
  const losses = new Losses(() => undefined)
  const consumer = new Consumer({ engine, clock, events: new Events(), losses, leases, sink, settings })
  consumer.start()
  await clock.advance(50)
  const closed = consumer.close(0)
  await clock.advance(50)
  await closed
  expect(lost).toEqual(['the lease ended before the save began'])
  expect(saved).toEqual([])
  await engine.close()
})
