import type { Action } from '@holdfast/core'
import { EngineLink } from '../engine/link.ts'
import type { Admin, Command } from './change-engine.ts'

const keysAtOnce = 100
const migrateTimeoutMs = 1000

/**
 * Ends the move of one slot, from wherever it was left. The source is the authority for every key that it still has,
 * so a key that is on both sides is replaced on the target.
 */
export async function finishMove(
  action: Extract<Action, { kind: 'finish-move' }>,
  source: Command,
  admin: Admin,
): Promise<void> {
  const { slot, target, targetId } = action
  const link = new EngineLink({ ...target, ...admin, name: 'holdfast-agent' })
  try {
    const sourceId = String(await source(['CLUSTER', 'MYID']))
    // Importing first: a source that already points at a target which is not importing sends clients in a circle.
    await link.command(['CLUSTER', 'SETSLOT', String(slot), 'IMPORTING', sourceId])
    await source(['CLUSTER', 'SETSLOT', String(slot), 'MIGRATING', targetId])
    for (;;) {
      const keys = (await source(['CLUSTER', 'GETKEYSINSLOT', String(slot), String(keysAtOnce)])) as string[]
      if (keys.length === 0) break
      const head = ['MIGRATE', target.address, String(target.port), '', '0', String(migrateTimeoutMs), 'REPLACE']
      await source([...head, 'AUTH2', admin.username, admin.password, 'KEYS', ...keys], migrateTimeoutMs * 2)
    }
    // The target hears it first: if it died before it knew, the slot would have no owner.
    await link.command(['CLUSTER', 'SETSLOT', String(slot), 'NODE', targetId])
    await source(['CLUSTER', 'SETSLOT', String(slot), 'NODE', targetId])
  } finally {
    link.close()
  }
}
