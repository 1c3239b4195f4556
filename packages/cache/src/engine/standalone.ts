import type { Address, Topology } from './topology.ts'

/** One node that has all keys: nothing to find out. Further addresses are copies of it that are never promoted. */
export function standaloneTopology([primary, ...replicas]: readonly [Address, ...Address[]]): Topology {
  return {
    layout: { shards: [{ primary, replicas, slots: [[0, 16_383]] }], epoch: 0 },
    suspect() {},
    consult() {},
    onChange() {},
    close() {},
  }
}
