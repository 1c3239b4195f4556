import { HoldfastError } from '@holdfast/core'
import { confirm } from './ask.ts'
import { statusOnceSeen, withApi } from './connect.ts'
import type { Context } from './context.ts'
import type { OperationOptions } from './operation.ts'
import { operate } from './operation.ts'
import { linesOf } from './spec.ts'
import { isReadyAt, refuseFailedStarts, until } from './until.ts'

export interface ScaleOptions extends OperationOptions {
  readonly shards?: string
  readonly replicas?: string
  readonly acceptEviction?: boolean
}

/** Every copy of a large shard is made anew. */
const copiesWithinMs = 600_000

/** `holdfast scale NAME`: shows what comes and goes, asks, and waits until it is so. Copies first, then shards. */
export async function scale(context: Context, name: string, options: ScaleOptions): Promise<void> {
  const { acceptEviction = false } = options
  const shards = numberOf('--shards', options.shards)
  const replicas = numberOf('--replicas', options.replicas)
  if (shards === undefined && replicas === undefined) {
    throw new HoldfastError('USAGE', 'scale to what? Say --shards, --replicas, or both')
  }
  if (replicas === 0) {
    throw new HoldfastError(
      'USAGE',
      '--replicas 0 would leave one copy of each shard, and nobody to take over: if that is meant, apply a spec with replicasPerShard: 0',
    )
  }
  if (replicas !== undefined) await setReplicas(context, name, replicas, options)
  if (shards === undefined) return
  await operate(context, name, { kind: 'scale', subject: name, shards, acceptEviction }, options)
}

function numberOf(option: string, said: string | undefined): number | undefined {
  if (said === undefined) return undefined
  if (/^\d{1,9}$/.test(said)) return Number(said)
  throw new HoldfastError('USAGE', `${option} ${said}: how many there shall be, a whole number`)
}

/** An edit of the spec, as `holdfast apply` makes it. */
function setReplicas(
  context: Context,
  name: string,
  replicas: number,
  { yes = false, wait = true }: ScaleOptions,
): Promise<void> {
  return withApi(context, { acts: true, on: name }, async (api) => {
    await statusOnceSeen(api, name)
    const { spec, revision } = await api.spec(name)
    const text = { ...spec, replicasPerShard: replicas }
    const preview = await api.plan(text)
    for (const line of linesOf(preview)) context.say(line)
    if (preview.changes.length === 0) return
    await confirm(context, `Apply this to ${name}?`, yes)
    const saved = await api.apply(name, text, revision)
    if (!wait) return
    await until(context, api, name, {
      isThere: isReadyAt(saved.revision),
      withinMs: copiesWithinMs,
      check: refuseFailedStarts,
    })
    context.say(`${name} has ${replicas} ${replicas === 1 ? 'replica' : 'replicas'} a shard`)
  })
}
