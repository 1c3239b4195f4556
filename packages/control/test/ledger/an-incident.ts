import type { Incident } from '@holdfast/core'

const at = 1_780_000_000_000

/** A primary that died at night and was followed within tens of milliseconds. */
export const anIncident = (parts: Partial<Incident> = {}): Incident => ({
  id: 'shop-54',
  deployment: 'shop',
  kind: 'death',
  beganAt: at,
  endedAt: at + 412,
  shards: ['shard-2'],
  because: 'node-2 (primary of shard-2) is dead, node-5 is in sync: promoting it',
  timeline: [
    { at: at + 3, seq: 54, because: 'node-2 (primary of shard-2) is dead, node-5 is in sync: promoting it' },
    { at: at + 3, seq: 55, because: 'promote (force) node-5' },
    { at: at + 38, seq: 60, because: 'starting node-2: node-5 is primary of shard-2' },
    { at: at + 412, seq: 73, because: 'ready: yes, was no (3 shards, 6 of 6 nodes in sync)' },
  ],
  promotions: [{ shard: 'shard-2', from: 'node-2', to: 'node-5', offsetBefore: 84_213_991, offsetAfter: 84_213_991 }],
  possiblyLostBytes: 0,
  madeWorseBy: [],
  notWritableMs: { 'shard-2': 61 },
  drill: null,
  ...parts,
})
