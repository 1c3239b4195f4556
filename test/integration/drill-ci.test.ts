import { readFileSync, writeFileSync } from 'node:fs'
import type { DrillReport } from '@holdfast/core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { brokenTruths, faultsOf, readyAgain, reportIn, upForDrills } from '../support/drilled.ts'
import { eventually } from '../support/eventually.ts'
import { Program } from '../support/program.ts'

/** A drill waits for the deployment to be whole again, and a busy machine takes its time for that. */
const slowly = 150_000

/* A deployment that is not labelled, as somebody's own is: it has to be named again. */
describe('a drill on a deployment that is not labelled', () => {
  let it: Program

  beforeAll(async () => {
    it = new Program()
    await upForDrills(it, { drills: 'no' })
  })

  afterAll(async () => {
    await it?.close()
  })

  test('is refused, with the words that would allow it', async () => {
    const sentence = await it.run(['drill', 'it', 'kill-primary', '--yes'])
    expect(sentence.code).toBe(3)
    expect(sentence.stderr).toContain('say --yes-on-production it')
    const wrong = await it.run(['drill', 'it', 'kill-primary', '--yes', '--yes-on-production', 'shop'])
    expect(wrong.code).toBe(3)
    expect(await faultsOf(it)).toEqual([])
  })

  test(
    'heals at once on Ctrl-C, and still reads back and reports',
    async () => {
      const allowed = ['--yes', '--yes-on-production', 'it', '--json', '--clients', 'ioredis,cache']
      const running = it.start(['drill', 'it', 'freeze', '--for', '2m', ...allowed], { withinMs: slowly })
      await eventually(() => running.stderr().includes('  fault: SIGSTOP'), { withinMs: 30_000 })
      running.signal('SIGINT')
      const { stdout, stderr } = await running.ended
      const report = reportIn(stdout)
      expect(stderr).toContain('ended by hand: healing now')
      expect(report.cutShort).toBe('ended by hand')
      expect((report.healedAt ?? 0) - report.faultAt).toBeLessThan(20_000)
      expect(report.writes.acknowledged).toBeGreaterThan(100)
      expect(brokenTruths(report), stderr).toEqual([])
      expect((await faultsOf(it))[0]).toMatchObject({ trouble: null })
    },
    slowly,
  )

  test(
    'runs a command meanwhile, which finds the deployment in its environment and nowhere else',
    async () => {
      await readyAgain(it)
      const mine = it.file('environment', '')
      const enough = `${mine}.enough`
      const script = `printenv HOLDFAST_URL REDIS_URL REDIS_CLUSTER_NODES > ${mine}; echo its own words; until [ -e ${enough} ]; do sleep 0.1; done`
      const ci = [
        'drill',
        'it',
        'kill-replica,kill-primary',
        '--ci',
        '--every',
        '5m',
        '--yes-on-production',
        'it',
        '--yes',
      ]
      const running = it.start([...ci, '--clients', 'cache', '--json', '--', 'sh', '-c', script], { withinMs: slowly })
      await eventually(() => running.stderr().includes('  fault: SIGKILL'), { withinMs: 60_000 })
      writeFileSync(enough, '')
      const { code, stdout, stderr } = await running.ended
      const [words, json] = stdout.split('\n') as [string, string]
      expect(words).toBe('its own words')
      const { reports, command } = JSON.parse(json) as { reports: [DrillReport]; command: { exit: number } }
      expect(command.exit).toBe(0)
      expect(reports.map(({ fault }) => fault)).toEqual(['kill-replica'])
      expect(brokenTruths(reports[0]), stderr).toEqual([])
      expect(code).toBe(reports[0].verdict.kept ? 0 : 9)
      const environment = readFileSync(mine, 'utf8')
      const { password } = await it.ask<{ password: string }>('/deployments/it/credentials')
      expect(environment).toContain(`holdfast+cluster://app:${password}@127.0.0.1:`)
      expect(environment.split('\n')).toHaveLength(4)
      expect(stderr).not.toContain(password)
    },
    slowly,
  )

  test(
    "ends with the command's code where that failed, and says when it proved nothing",
    async () => {
      await readyAgain(it)
      const ci = ['drill', 'it', 'kill-replica', '--ci', '--yes-on-production', 'it', '--yes', '--']
      const { code, stderr } = await it.run([...ci, 'sh', '-c', 'exit 3'])
      expect(code).toBe(3)
      expect(stderr).toContain('the command ended with 3')
      expect(stderr).toContain('no fault was injected while the command ran: this proves nothing')
      expect((await it.run([...ci, 'no-such-command'])).stderr).toContain('cannot run no-such-command')
      const without = ['drill', 'it', 'kill-replica', '--ci', '--yes-on-production', 'it', '--yes']
      expect(await it.refused('USAGE', without)).toContain('which command?')
    },
    slowly,
  )
})
