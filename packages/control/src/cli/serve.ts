import type { OutsideFlags } from '../server/outside-place.ts'
import { parseOutside } from '../server/outside-place.ts'
import type { EtcdFlags } from '../store/etcd/place.ts'
import { startController } from '../wire.ts'
import type { Context } from './context.ts'
import { Interrupts } from './interrupts.ts'
import { portOf } from './port.ts'
import { tellPassword } from './report.ts'

export interface ServeFlags extends EtcdFlags, OutsideFlags {
  readonly port?: string
  readonly address?: string
  readonly joinPort?: string
  readonly store?: string
}

/** `holdfast serve`: keeps everything of this home up until it is told to end. The engines run on. */
export async function serve(context: Context, { port, address, joinPort, store, ...flags }: ServeFlags): Promise<void> {
  const etcd = store === undefined ? undefined : (await import('../store/etcd/place.ts')).parseEtcdPlace(store, flags)
  const outside = parseOutside(flags)
  const interrupts = new Interrupts()
  const started = await startController({
    home: context.home,
    progress: context.say,
    acts: true,
    port: portOf(port),
    address,
    joinPort: portOf(joinPort, '--join-port'),
    etcd,
    outside,
  })
  tellPassword(context, started.newPassword)
  const names = started.controller.names()
  const what = names.length === 0 ? 'nothing yet' : names.join(', ')
  context.say(`controller ${process.pid} of ${context.home.path} keeps up ${what}; panel ${started.url}`)
  if (started.outside !== undefined) {
    context.say(`for other machines it is ${started.outside}; they believe it by ${context.home.authority}`)
  }
  await interrupts.first()
  await started.close()
  interrupts.close()
}
