import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { faultNames } from '@holdfast/core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Context } from '../../src/cli/context.ts'
import { drillCommand } from '../../src/cli/drill-command.ts'
import { claimFile } from '../../src/cli/written-file.ts'
import { homeAt } from '../../src/store/home.ts'

let folder: string
let context: Context

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-drill-'))
  const nobody = { out: () => {}, say: () => {}, isInteractive: false, isRead: () => true }
  context = { home: homeAt(join(folder, 'home')), ...nobody }
})
afterAll(() => rmSync(folder, { recursive: true }))

type Options = Parameters<typeof drillCommand>[3]

/* No controller runs here: each of these is refused before anybody is asked. */
describe('a drill that cannot be meant', () => {
  const wrong: [what: string, fault: string | undefined, options: Options, command: string[], said: RegExp][] = [
    [
      'an unknown fault',
      'kil-primary',
      {},
      [],
      new RegExp(`no fault "kil-primary". There are ${faultNames.join(', ')}`),
    ],
    ['no fault', undefined, {}, [], /which fault on shop\?/],
    ['a time without a unit', 'freeze', { for: '5' }, [], /"5" is not a duration: write 500ms, 5s/],
    ['no time at all', 'freeze', { for: '0s' }, [], /longer than nothing and at most 10 min/],
    ['too long a time', 'freeze', { for: '11m' }, [], /longer than nothing and at most 10 min/],
    [
      'a time for what is over at once',
      'kill-primary',
      { for: '5s' },
      [],
      /kill-primary is over at once: leave out --for/,
    ],
    [
      'an unknown client',
      'freeze',
      { clients: 'cache,jedis' },
      [],
      /"jedis": there are ioredis, ioredis-timeouts, cache, durable/,
    ],
    [
      'a report that cannot be written',
      'freeze',
      { report: '/no/such/folder/x.html' },
      [],
      /cannot write .*Nothing was done/,
    ],
    ['a command without --ci', 'freeze', {}, ['true'], /with --ci only/],
    ['--ci without a command', 'freeze', { ci: true }, [], /which command\?/],
    ['--ci too often', 'freeze', { ci: true, every: '10ms' }, ['true'], /from 1s to 10 min/],
    [
      '--ci with one page for many drills',
      'freeze',
      { ci: true, report: 'x.html' },
      ['true'],
      /--report is for a single drill/,
    ],
    ['two faults without --ci', 'freeze,kill-primary', {}, [], /one fault at a time/],
    ['all-safe without --ci', 'all-safe', {}, [], /no fault "all-safe"/],
  ]

  test.each(wrong)('%s is refused', async (_, fault, options, command, said) => {
    await expect(drillCommand(context, 'shop', fault, options, command)).rejects.toMatchObject({
      code: 'USAGE',
      message: expect.stringMatching(said) as string,
    })
  })

  test('and without a controller nobody would heal it', async () => {
    await expect(drillCommand(context, 'shop', 'freeze', {}, [])).rejects.toMatchObject({
      code: 'UNREACHABLE_CONTROLLER',
      message: expect.stringContaining('nobody would heal') as string,
    })
  })
})

describe('a file that is claimed', () => {
  test('is written whole or not at all', () => {
    const path = join(folder, 'report.html')
    const first = claimFile(path)
    expect(existsSync(path)).toBe(false)
    first.write('all of it')
    first.giveUp()
    expect(readFileSync(path, 'utf8')).toBe('all of it')
    claimFile(path).giveUp()
    expect(readFileSync(path, 'utf8')).toBe('all of it')
    expect(readdirSync(folder)).toEqual(['report.html'])
  })

  test('is no directory', () => {
    expect(() => claimFile(folder)).toThrow(/it is a directory/)
  })
})
