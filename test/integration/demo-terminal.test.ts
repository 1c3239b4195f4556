/** The demonstration in a terminal: tmux is the terminal, its keys are pressed, and its screen is read. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { mainPath, Program } from '../support/program.ts'
import { prepareDemo } from '../support/running-demo.ts'
import { findTmux, Terminal } from '../support/tmux.ts'

const program = new Program()
let terminal: Terminal

const type = (key: string): void => terminal.type(key)
const see = (what: RegExp, withinMs?: number): Promise<string> => terminal.see(what, withinMs)
/** What the shell says that the demonstration was started from. */
const prompt = /^ended with (\d+)$/m

/** A figure of the lane with Holdfast. */
function figure(label: string): number {
  const [, count] = new RegExp(`^${label} +(\\d+)`, 'm').exec(terminal.screen) ?? []
  if (count === undefined) throw new Error(`no figure "${label}" in\n${terminal.screen}`)
  return Number(count)
}

beforeAll(async () => {
  const port = await prepareDemo(program)
  const command = `${process.execPath} ${mainPath} demo --port ${port}; echo "ended with $?"; exec sh`
  terminal = new Terminal(await findTmux())
  terminal.start(command, { HOLDFAST_HOME: program.path })
  await see(/^requests a second +1\d\d/m, 60_000)
}, 120_000)

afterAll(async () => {
  try {
    terminal?.close()
  } finally {
    await program.close()
  }
})

describe('one calm screen', () => {
  test('has all that has to be known on it, within 80 by 24', async () => {
    const text = await see(/^ {2}read back · missing +[1-9]\d* · 0$/m)
    expect(text).toMatch(/^Holdfast keeps up shop: ready +(redis|valkey) [\d.]+$/m)
    expect(text).toContain('3 shards, 6 of 6 nodes in sync')
    expect(text).toMatch(/^panel {4}http:\/\/127\.0\.0\.1:\d+\/demo$/m)
    expect(text).toMatch(/^sign in {2}admin \/ [a-z0-9-]{30,}/m)
    for (const key of ['k', '2', 'f', 'c', 'd', 'h', 'b', 'x', 'q']) expect(text).toContain(`[${key}] `)
  })

  test.each([
    ['k', /SIGKILL to node-\d \(primary of shard-\d\)$/m, /is\s+dead,\s+node-\d\s+is\s+in\s+sync/],
    ['2', /SIGKILL to node-\d \(primary of shard-\d\) and node-\d/, /1\s+of\s+3\s+voters\s+live|promoting/],
    ['f', /SIGSTOP to node-\d \(primary of shard-\d\), for 20 s/, /frozen,\s+killing\s+it/],
    ['c', /SIGKILL to all 6 nodes/, /all\s+copies\s+of\s+shard-\d\s+are\s+down/],
  ])('%s breaks something, which is said, explained, and healed', async (key, what, why) => {
    type(key)
    await see(what)
    await see(why)
    await see(/^Holdfast keeps up shop: ready .*\n3 shards, 6 of 6 nodes in sync$/m)
  })

  test('d stops the database and starts it again', async () => {
    type('d')
    await see(/^(PostgreSQL|SQLite) a second, stopped/m)
    type('d')
    await see(/^(PostgreSQL|SQLite) a second {2,}/m)
  })

  test('b sends a thousand buyers, h a sale', async () => {
    type('b')
    await see(/1000 buyers of limited-1: 1 question to the database/)
    type('h')
    await see(/flash sale: twice as many visitors/)
    await see(/^requests a second +[34]\d\d/m)
  })

  test('x puts the other lane beside it, and takes it away', async () => {
    type('x')
    await see(/starting \.\.\./)
    await see(/^the shop with +Holdfast +engine alone$/m, 40_000)
    await see(/^requests a second +\d+ +[1-9]\d*/m)
    type('x')
    await see(/x: compare$/m)
  })

  test('what a key cannot do now is said, and the screen goes on', async () => {
    type('h')
    await see(/the sale of p\d+ goes on: wait until it is over|flash sale/)
    type('?')
    const before = figure('writes acknowledged')
    await eventually(() => figure('writes acknowledged') > before, { what: 'the screen goes on' })
  })

  test('q ends it calmly: the terminal is as it was, and nothing is left', async () => {
    type('q')
    const text = await see(prompt, 40_000)
    expect(prompt.exec(text)?.[1]).toBe('0')
    expect(text).toContain('shop is down; its data is kept')
    expect(text).not.toContain('errors since the start')
    expect(terminal.know('#{cursor_flag} #{alternate_on}')).toBe('1 0')
    type('echo its input is $((40 + 2)) again')
    type('Enter')
    await see(/^its input is 42 again$/m)
    const shell = Number(terminal.know('#{pane_pid}'))
    expect(program.processes().filter((pid) => pid !== shell)).toEqual([])
  })
})
