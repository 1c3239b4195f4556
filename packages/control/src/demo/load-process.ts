/** The visitors and writers of one lane, in a process of their own so that nothing else delays them. */
import { AckedWrites } from './acked-writes.ts'
import type { FromLoad, LoadFigures, OpenLoad, ToLoad } from './messages.ts'
import { hearParent, tellParent } from './parent.ts'
import { Requests } from './requests.ts'
import { Writers } from './writers.ts'

const never = new AbortController().signal
const acked = new AckedWrites()
let requests: Requests | undefined
let writers: Writers | undefined

hearParent((order) => obey(order as ToLoad))

function obey(message: ToLoad): void {
  switch (message.kind) {
    case 'open':
      return open(message)
    case 'report':
      return tell({ kind: 'report', ask: message.ask, figures: takeFigures() })
    case 'sale':
      return requests?.sell(message.product)
    case 'buyers':
      return void rush(message)
    default:
      return message satisfies never
  }
}

function open({ lane, engine, shops, requestsPerSecond }: OpenLoad): void {
  requests = new Requests(shops, requestsPerSecond)
  writers = new Writers(lane, engine, acked)
  // They end with the process, which ends with its parent.
  void requests.run(never)
  void writers.run(never)
  tell({ kind: 'open' })
}

async function rush({ ask, product, callers }: ToLoad & { kind: 'buyers' }): Promise<void> {
  const cost = await requests?.rush(`/products/${product}`, callers)
  tell({ kind: 'buyers', ask, tookMs: cost?.tookMs ?? 0, failed: cost?.failed ?? callers })
}

function takeFigures(): LoadFigures {
  const { lost, ...counts } = acked.figures
  const nameOf = (key: string): string => writers?.name(key) ?? key
  return {
    ...(requests?.take() ?? { p99Ms: null, gaveUp: 0 }),
    ...counts,
    unacknowledged: writers?.takeUnacknowledged() ?? 0,
    lost: lost.map(({ key, ackedAt }) => ({ key: nameOf(key), ackedAt })),
    lastKey: writers === undefined || writers.lastKey === null ? null : nameOf(writers.lastKey),
    buyer: requests?.buyer ?? null,
  }
}

const tell = (message: FromLoad): void => tellParent(message)
