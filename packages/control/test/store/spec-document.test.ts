import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { SpecText } from '@holdfast/core'
import { HoldfastError, parseSpec, parseWish, policyOf, Spec } from '@holdfast/core'
import { describe, expect, test } from 'vitest'
import { parseSpecText } from '../../src/store/read-spec.ts'

const page = readFileSync(join(import.meta.dirname, '../../../../docs/spec.md'), 'utf8')
const [small, whole] = Array.from(page.matchAll(/```yaml\n(.*?)```/gs), ([, text]) =>
  parseSpecText(text ?? '', 'docs/spec.md'),
)

describe('docs/spec.md', () => {
  test('its small example can be brought up today', () => {
    const spec = parseSpec(small)
    expect(spec).toMatchObject({ name: 'shop', shards: 4, memory: { maxPerNode: 512 * 1024 ** 2 } })
  })

  test('its whole example is the language', () => {
    expect(Spec.safeParse(whole).error?.issues).toBeUndefined()
  })

  test('names every key, and its values are the defaults', () => {
    const written = typeof whole === 'object' && whole !== null ? Object.keys(whole) : []
    expect(written.sort()).toEqual(Object.keys(Spec.shape).sort())
    const { shardOverrides, displayName, ...spec } = Spec.parse(whole)
    expect([shardOverrides, displayName]).toEqual([{ '1': { replicas: 2 } }, 'Shop cache'])
    expect(Spec.parse({ name: 'shop' })).toMatchObject(spec)
  })

  test('its table has every key that is refused for now', () => {
    const asked = {
      name: 'shop',
      notify: ['x'],
      sentinel: {},
      alerts: {},
    }
    const table = page.slice(page.indexOf('## Not supported yet'), page.indexOf('## Units'))
    const problems = refusal(asked)
    expect(problems).toHaveLength(3)
    for (const path of problems) expect(table, path).toContain(`\`${path}`)
  })
})

test('the policy in docs/autoscale.md is the one of the defaults', () => {
  const text = readFileSync(join(import.meta.dirname, '../../../../docs/autoscale.md'), 'utf8')
  const [, example = ''] = /```yaml\n(.*?)```/s.exec(text) ?? []
  const { autoscale } = parseSpecText(example, 'docs/autoscale.md') as SpecText
  const policy = (wish: unknown) => policyOf(parseWish({ name: 'shop', autoscale: wish }))
  expect(policy(autoscale)).toEqual(policy({}))
})

/** The keys that are refused as not supported yet. */
function refusal(input: unknown): string[] {
  try {
    parseSpec(input)
  } catch (error) {
    if (!(error instanceof HoldfastError)) throw error
    expect(error.code).toBe('SPEC_UNSUPPORTED')
    return error.message.split('\n').map((line) => line.replace(/: not supported yet.*/, ''))
  }
  return []
}
