import { confirm } from './ask.ts'
import { chooseName, withApi } from './connect.ts'
import type { Context } from './context.ts'
import { isDown, until } from './until.ts'

/** `holdfast down NAME`: stops the engines, replicas first. The data stays unless --purge. */
export async function down(
  context: Context,
  name: string | undefined,
  { purge, yes }: { purge?: boolean; yes?: boolean },
): Promise<void> {
  await withApi(context, true, async (api) => {
    const chosen = await chooseName(api, name)
    const what = purge === true ? `stop ${chosen} and delete its data for good?` : `stop ${chosen}? Its data is kept.`
    await confirm(context, what, yes === true)
    await api.setWanted(chosen, 'down', { purge: purge === true })
    // Without --purge the document stays; with it, being gone is what is waited for.
    await until(context, api, chosen, (status) => purge !== true && isDown(status), 60_000)
    context.say(
      purge === true ? `${chosen} and its data are gone` : `${chosen} is down; "holdfast up" starts it with its data`,
    )
  })
}
