import { isRunning, readProcess, signalExactly } from '../../proc.ts'
import type { Injury } from './injury.ts'

/** SIGSTOP to the agent of this host: its port accepts, and nothing is answered. */
export const freezeAgent: Injury = {
  tellsFirst: true,
  inject: async ({ scene: { member } }) => {
    if (member === null || !signalExactly(member.agent, 'SIGSTOP')) {
      throw new Error('the agent has just ended by itself')
    }
  },
  heal: async ({ scene: { member } }) => {
    if (member === null || !signalExactly(member.agent, 'SIGCONT')) return
    const { agent } = member
    if (isRunning(agent) && readProcess(agent.pid)?.state === 'T') throw new Error('the agent is still stopped')
  },
}
