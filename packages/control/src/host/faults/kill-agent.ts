import { setTimeout as delay } from 'node:timers/promises'
import { signalExactly } from '../../proc.ts'
import { spawnAgent } from '../../serve-process.ts'
import type { Injury } from './injury.ts'
import { killAll } from './kill.ts'
import { listens } from './listens.ts'

const startWithinMs = 20_000

/** SIGKILL to the agent of this host, and with it to all that the deployment has there where the whole host is meant. */
export const killAgent: Injury = {
  tellsFirst: true,
  inject: async ({ order, scene: { member, targets } }) => {
    if (member === null || !signalExactly(member.agent, 'SIGKILL'))
      throw new Error('the agent has just ended by itself')
    if (order.fault === 'kill-host') killAll(targets)
  },
  heal: async ({ scene: { home, member } }) => {
    // Whoever looks after agents here, systemd above all, was quicker.
    if (member === null || (await listens(member.agent.address, member.agent.port))) return
    const started = spawnAgent(home)
    const deadline = performance.now() + startWithinMs
    while (!(await listens(member.agent.address, member.agent.port))) {
      if (started.hasEnded()) throw new Error(`the agent could not be started: ${started.said().trim()}`)
      if (performance.now() > deadline) {
        await started.end()
        throw new Error(`the agent did not begin within ${startWithinMs / 1000} s`)
      }
      await delay(50)
    }
    started.letGo()
  },
}
