/**
 * The clients of a fabric, in a namespace of their own: the writers of a drill, an application that reads, the commands
 * that somebody types, and the reading back in the end. Whoever started it asks over the IPC channel; with that it ends.
 */
import type { DrillOperation } from '@holdfast/core'
import { checkOperations, outagesOf } from '@holdfast/core'
import { readBack } from '../../../packages/control/src/drill/read-back.ts'
import { Workload } from '../../../packages/control/src/drill/workload.ts'
import { EngineLink } from '../../../packages/control/src/engine/link.ts'
import type { Answered, Asked, Question } from './clients.ts'
import { Reader } from './reader.ts'

let workload: Workload | undefined
let reader: Reader | undefined
let operations: DrillOperation[] = []

async function answer(question: Question): Promise<unknown> {
  switch (question.kind) {
    case 'command': {
      const link = new EngineLink(question.target)
      try {
        return await link.command(question.args, question.withinMs)
      } finally {
        link.close()
      }
    }
    case 'write':
      await workload?.stop()
      reader?.stop()
      operations = []
      workload = new Workload(question.plan, (operation) => operations.push(operation))
      reader = new Reader(question.plan.where)
      return undefined
    case 'acked': {
      const acked = operations.filter(({ outcome, endedAt }) => outcome === 'ok' && endedAt >= question.since)
      return [...new Set(acked.map(({ client, shard }) => `${client} ${shard}`))]
    }
    case 'stop': {
      const reads = reader?.stop()
      reader = undefined
      await workload?.stop()
      workload = undefined
      return reads
    }
    case 'check': {
      const reads = await readBack(operations, question.copies, question.terms)
      const check = checkOperations({ operations, reads, evicted: {} })
      return { check, outages: outagesOf(operations, question.window) }
    }
    default:
      return question satisfies never
  }
}

function say(answered: Answered): void {
  process.send?.(answered, () => {})
}

process.on('message', ({ id, question }: Asked) => {
  answer(question).then(
    (value) => say({ id, value }),
    (error: unknown) => say({ id, trouble: error instanceof Error ? error.message : String(error) }),
  )
})
process.on('disconnect', () => process.exit())
say({ id: 0, value: 'ready' })
