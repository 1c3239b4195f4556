import { existsSync } from 'node:fs'
import { signalExactly } from '../../proc.ts'
import { spawnAgent } from '../../serve-process.ts'
import { begins } from './begins.ts'
import type { Injury } from './injury.ts'
import { killAll } from './kill.ts'
import { listens } from './listens.ts'

/** SIGKILL to the agent of this host, and with it to all that the deployment has there where the whole host is meant. */
export const killAgent: Injury = {
  tellsFirst: true,
  inject: async ({ order, scene: { member, targets } }) => {
    if (member === null || !signalExactly(member.agent, 'SIGKILL')) {
      throw new Error('the agent has just ended by itself')
    }
    if (order.fault === 'kill-host') killAll(targets)
  },
  heal: async ({ scene: { home, member } }) => {
    if (member === null || !existsSync(home)) return
    const isThere = (): Promise<boolean> => listens(member.agent.address, member.agent.port)
    // Whoever looks after agents here, systemd above all, was quicker.
    if (await isThere()) return
    const trouble = await begins(spawnAgent(home), isThere)
    if (trouble !== null) throw new Error(`the agent could not be started: ${trouble}`)
  },
}
