/** A demonstration in a process of its own, as a test looks at it: by its API, and by the pages of its shops. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { DemoAction, DemoState, LaneSample, Status } from '@holdfast/core'
import { expect } from 'vitest'
import { freePorts } from './engines.ts'
import { eventually } from './eventually.ts'
import type { Program } from './program.ts'

/** Lets the demonstration of a home use ports that are free here. Answers the port for its panel. */
export async function prepareDemo(program: Program): Promise<number> {
  const basePort = await freePorts(6)
  const spec = { name: 'shop', drills: 'yes', memory: { maxPerNode: '64mb' }, expose: { basePort } }
  await program.ok(['apply', program.file('shop.yaml', spec), '--yes'])
  return freePorts(1)
}

export class RunningDemo {
  readonly program: Program

  constructor(program: Program) {
    this.program = program
  }

  state(): Promise<DemoState> {
    return this.program.ask('/demo')
  }

  /** The last second of the lane with Holdfast. */
  async last(): Promise<LaneSample> {
    const { samples } = await this.state()
    const sample = samples.findLast(({ lane }) => lane === 'holdfast')
    if (sample === undefined) throw new Error('nothing was counted yet')
    return sample
  }

  /** Seconds of the lane with Holdfast that ended after this time. */
  async since(at: number): Promise<readonly LaneSample[]> {
    const { samples } = await this.state()
    return samples.filter((sample) => sample.lane === 'holdfast' && sample.at > at)
  }

  /** So many more are counted. */
  async seconds(count: number): Promise<void> {
    const { at } = await this.last()
    await eventually(async () => (await this.last()).at >= at + count * 1000, { what: `${count} s more are counted` })
  }

  /** What the shops, visitors and writers say went wrong. */
  complaints(): string[] {
    const folder = join(this.program.path, 'demo')
    const logs = readdirSync(folder).filter((name) => name.endsWith('.log'))
    return logs.flatMap((name) => readFileSync(join(folder, name), 'utf8').split('\n').filter(Boolean))
  }

  press(action: DemoAction): Promise<string> {
    return this.post('/demo/actions', { action })
  }

  /** What was done, in one sentence. */
  async post(path: string, body: object): Promise<string> {
    const { url, token } = this.program.controller() ?? {}
    const response = await fetch(`${url}/api/v1${path}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    })
    const { did, error } = (await response.json()) as { did?: string; error?: { message: string } }
    if (did === undefined) throw new Error(`POST ${path}: ${response.status} ${error?.message}`)
    return did
  }

  /** Explained by the controller, and as specified again. */
  async healed(): Promise<void> {
    await eventually(async () => (await this.state()).marks.at(-1)?.because !== null, {
      withinMs: 30_000,
      what: 'the controller explains it',
    })
    await eventually(
      async () => {
        const { ready, because } = await this.program.ask<Status>('/deployments/shop')
        expect(`${ready}: ${because}`).toBe('yes: 3 shards, 6 of 6 nodes in sync')
        return true
      },
      { withinMs: 30_000, what: 'shop is ready again' },
    )
  }

  /** All visitors are there, and the caches are warm. */
  async busy(): Promise<void> {
    await eventually(
      async () => {
        const { requests, queries, acked } = await this.last()
        return requests > 150 && queries < 50 && acked > 60
      },
      { withinMs: 40_000, what: 'all visitors are there, and the caches are full' },
    )
  }
}
