/** One process of the shop. */
import { questionsAtOnce } from './database.ts'
import type { FromShop, OpenShop, ToShop } from './messages.ts'
import { hearParent, tellParent } from './parent.ts'
import { openQuestions } from './questions.ts'
import { buildShop } from './shop.ts'
import { holdfastStore } from './store/holdfast.ts'
import { ioredisStore } from './store/ioredis.ts'
import type { ShopStore } from './store/store.ts'
import { Tally } from './tally.ts'
import { warmUp } from './warm-up.ts'

/** Of all that the database takes at once, the part of this process: a lane has two. */
const atOnce = questionsAtOnce / 2
/** A thousand buyers knock in one moment. */
const backlog = 2048

const tally = new Tally()
let store: ShopStore | undefined

hearParent((order) => obey(order as ToShop))

function obey(message: ToShop): void {
  switch (message.kind) {
    case 'open':
      return void open(message)
    case 'report':
      return tell({
        kind: 'report',
        ask: message.ask,
        figures: tally.take((product) => store?.isHot(product) ?? false),
      })
    case 'watch':
      return tally.watch(message.product)
    case 'unwatch':
      return tally.unwatch(message.product)
    default:
      return message satisfies never
  }
}

async function open({ lane, engine, database, part }: OpenShop): Promise<void> {
  const questions = openQuestions(database, atOnce, (what, id) => {
    tally.count('queries')
    if (what === 'product') tally.countOf(id, 'queries')
  })
  store = lane === 'holdfast' ? holdfastStore(engine, questions, atOnce) : ioredisStore(engine, questions)
  const app = buildShop(store, tally)
  const address = await app.listen({ host: '127.0.0.1', port: 0, backlog })
  tell({ kind: 'open', port: Number(new URL(address).port) })
  await warmUp(store, part)
}

const tell = (message: FromShop): void => tellParent(message)
