import { refusedAdopted } from '@holdfast/core'
import { readController } from '../store/controller-file.ts'
import { savedNames } from '../wire.ts'
import type { Api } from './api.ts'
import { confirm, confirmByName } from './ask.ts'
import { chooseAmong, runningApi, withApi } from './connect.ts'
import type { Context } from './context.ts'
import { isDown, until } from './until.ts'

/** `holdfast down NAME`: stops the engines, replicas first. The data stays unless --purge. */
export async function down(
  context: Context,
  name: string | undefined,
  { purge = false, yes = false }: { purge?: boolean; yes?: boolean },
): Promise<void> {
  const names = (await runningApi(context)?.names()) ?? (await savedNames(context.home))
  const chosen = chooseAmong(names, name)
  await withApi(context, { acts: true, on: chosen }, async (api) => {
    if ((await api.adoptedNames()).includes(chosen)) return forget(context, api, chosen, { purge, yes, said: name })
    if (purge) {
      await confirmByName(context, `Stop ${chosen} and delete its data for good?`, chosen, { said: name, yes })
    } else {
      await confirm(context, `Stop ${chosen}? Its data is kept.`, yes)
    }
    await api.setWanted(chosen, 'down', { purge })
    // Without --purge the document stays; with it, being gone is what is waited for.
    await until(context, api, chosen, { isThere: (status) => !purge && isDown(status), withinMs: 60_000 })
    context.say(
      purge ? `${chosen} and its data are gone` : `${chosen} is down; "holdfast up ${chosen}" starts it with its data`,
    )
    tellOfController(context, await api.names())
  })
}

/** What somebody else runs is not stopped; what is kept of it here goes. */
async function forget(
  context: Context,
  api: Api,
  name: string,
  { purge, yes, said }: { purge: boolean; yes: boolean; said: string | undefined },
): Promise<void> {
  if (!purge) throw refusedAdopted(name)
  await confirmByName(context, `Watch ${name} no more? Nothing is touched there.`, name, { said, yes })
  await api.forget(name)
  context.say(`${name} is forgotten: it runs on as it did`)
}

/** The controller of `up --detach` and of `serve` stays for the panel; who wants nothing left must know how. */
function tellOfController({ home, say }: Context, names: readonly string[]): void {
  const running = readController(home)
  if (running === undefined || running.pid === process.pid) return
  const keeps = names.length === 0 ? 'keeps nothing any more' : `still serves the panel of ${names.join(', ')}`
  say(`The controller (pid ${running.pid}, ${running.url}) ${keeps}; "kill ${running.pid}" ends it.`)
}
