import { contractPrefix, describeEngine } from '../../../../test/support/engine-contract.ts'
import { MemoryServer } from '../../src/testing/memory-server.ts'

for (const shards of [1, 3]) {
  const server = new MemoryServer({ shards })
  describeEngine(`in memory, ${shards === 1 ? 'alone' : `${shards} shards`}`, async () => {
    const engine = server.connect({ track: [contractPrefix] })
    const second = server.connect({ track: [contractPrefix] })
    return {
      engine,
      second,
      async close() {
        await engine.close()
        await second.close()
      },
    }
  })
}
