import { HoldfastError } from '@holdfast/core'
import { readController } from '../store/controller-file.ts'
import { adminName, replaceAdministrator } from '../wire.ts'
import type { Context } from './context.ts'

/** `holdfast password`: another password for the panel. The old one and every session end with the controller. */
export async function password(context: Context): Promise<void> {
  const running = readController(context.home)
  if (running !== undefined) {
    throw new HoldfastError(
      'REFUSED_UNSAFE',
      `the controller (pid ${running.pid}) runs and knows the old password. End it with "kill ${running.pid}" (engines run on), then repeat this and start it again with "holdfast up --detach".`,
      { pid: running.pid },
    )
  }
  context.say('shown once, kept only as a hash:')
  context.out(`${adminName} / ${await replaceAdministrator(context.home)}`)
}
