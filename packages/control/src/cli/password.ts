import { adminName, makeAdministrator } from '../wire.ts'
import type { Context } from './context.ts'
import { newPassword } from './user.ts'

/** `holdfast password`: another password for the administrator of the first start. */
export async function password(context: Context): Promise<void> {
  const first = await makeAdministrator(context.home)
  if (first === undefined) return newPassword(context, adminName)
  context.say('shown once, kept only as a hash:')
  context.out(`${adminName} / ${first}`)
}
