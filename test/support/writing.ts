import type { CheckResult, ClientKind, DrillOperation } from '@holdfast/core'
import { accessTo, checkOperations, clientKinds } from '@holdfast/core'
import { readBack } from '../../packages/control/src/drill/read-back.ts'
import { Workload } from '../../packages/control/src/drill/workload.ts'
import { tagsOf, writersFor } from '../../packages/control/src/drill/writers.ts'
import type { TestDeployment } from './deployment.ts'
import { eventually } from './eventually.ts'

/** The clients and the checker of a drill, while a test breaks the deployment by its own hand. */
export class Writing {
  readonly #operations: DrillOperation[] = []
  readonly #deployment: TestDeployment
  readonly #workload: Workload
  readonly #writers: number
  readonly #terms: Parameters<typeof readBack>[2]

  constructor(deployment: TestDeployment, clients: readonly ClientKind[] = clientKinds) {
    const status = deployment.status()
    const credentials = deployment.access
    const [tags, drill] = [tagsOf(status), 'test']
    const where = accessTo(status, credentials)
    this.#deployment = deployment
    this.#terms = { ...credentials, tags, drill }
    this.#writers = clients.length * tags.size
    const plan = { drill, where, writers: writersFor(clients, tags), restMs: 5 }
    this.#workload = new Workload(plan, (operation) => this.#operations.push(operation))
  }

  /** Whether every writer has had an acknowledgement since then, and `count` of them all together. */
  hasAcked(count: number, since = 0): boolean {
    const acked = this.#operations.filter(({ outcome, endedAt }) => outcome === 'ok' && endedAt >= since)
    const writers = new Set(acked.map(({ client, shard }) => `${client} ${shard}`))
    return acked.length >= count && writers.size >= this.#writers
  }

  /** What a client was told of its writes that were not acknowledged, so far. */
  failures(client: ClientKind): DrillOperation[] {
    return this.#operations.filter((one) => one.client === client && one.outcome !== 'ok')
  }

  /** Ends writing, reads every key from its owner and every replica, and deletes them. */
  async check(): Promise<CheckResult> {
    await this.#workload.stop()
    const reads = await readBack(this.#operations, this.#deployment.status(), this.#terms)
    return checkOperations({ operations: this.#operations, reads, evicted: {} })
  }

  /** Ends writing without a look. */
  close(): Promise<void> {
    return this.#workload.stop()
  }
}

/** Does something while clients write, and looks for every write once all of them write again. */
export async function underWrites(
  deployment: TestDeployment,
  work: () => Promise<unknown>,
  clients?: readonly ClientKind[],
): Promise<{ readonly found: CheckResult; readonly failures: (client: ClientKind) => DrillOperation[] }> {
  const writing = new Writing(deployment, clients)
  try {
    await eventually(() => writing.hasAcked(200), { what: 'writes' })
    await work()
    await deployment.ready()
    const readyAt = Date.now()
    await eventually(() => writing.hasAcked(50, readyAt), { what: 'writes afterwards' })
    return { found: await writing.check(), failures: (client) => writing.failures(client) }
  } finally {
    await writing.close()
  }
}

/** What a checker says where nothing acknowledged is lost, every copy is equal and no client told a falsehood. */
export const nothingWrong = { lost: [], unread: [], differing: [], contradictions: [], misjudged: [], evicted: [] }
