import { HoldfastError } from '@holdfast/core'
import { readController } from '../store/controller-file.ts'
import { adminName, replaceAdministrator } from '../wire.ts'
import type { Context } from './context.ts'

/** `holdfast password`: another password for the panel. The old one and every session end with the controller. */
export async function password(context: Context): Promise<void> {
  if (readController(context.home) !== undefined) {
    throw new HoldfastError(
      'REFUSED_UNSAFE',
      'a controller runs and knows the old password: end it first, engines run on',
    )
  }
  context.out(`${adminName} / ${await replaceAdministrator(context.home)}`)
}
