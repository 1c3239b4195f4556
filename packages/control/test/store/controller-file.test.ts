import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, statSync, writeFileSync } from 'node:fs'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { parseStat, readProcess } from '../../src/proc.ts'
import { readController, removeController, writeController } from '../../src/store/controller-file.ts'
import type { Home } from '../../src/store/home.ts'
import { aController } from './a-controller.ts'
import { temporaryHome } from './temporary-home.ts'

let home: Home
let clean: () => void
beforeEach(() => ({ home, clean } = temporaryHome()) && undefined)
afterEach(() => clean())

describe('the controller file', () => {
  test('leads to the controller that runs', () => {
    writeController(home, aController())
    expect(readController(home)).toEqual({ ...aController(), stopped: false })
  })

  test('only its owner can read it, and no draft of it stays', () => {
    writeController(home, aController())
    writeController(home, aController({ id: 'controller-2' }))
    expect(statSync(home.controllerFile).mode & 0o777).toBe(0o600)
    expect(readdirSync(home.path).filter((name) => name.startsWith('controller'))).toEqual(['controller.json'])
  })

  test('leads nowhere when there is none, when its pid is somebody else now, or after a reboot', () => {
    expect(readController(home)).toBeUndefined()
    writeController(home, aController({ startTime: 1 }))
    expect(readController(home)).toBeUndefined()
    writeController(home, aController({ bootId: 'another' }))
    expect(readController(home)).toBeUndefined()
  })

  test.each(['', '{', 'null', '[]', '{"pid":1}', '{"id":1,"pid":"x"}'])('%j is no controller', (text) => {
    writeFileSync(home.controllerFile, text)
    expect(readController(home)).toBeUndefined()
  })

  test('says when the controller is stopped, and when it is gone', async () => {
    const child = spawn('sleep', ['60'], { stdio: 'ignore' })
    await once(child, 'spawn')
    const pid = child.pid ?? 0
    try {
      // Between fork and exec a child is the parent's copy; its start time is its own from the beginning.
      writeController(home, aController({ pid, startTime: readProcess(pid)?.startTime ?? 0 }))
      expect(readController(home)?.stopped).toBe(false)
      child.kill('SIGSTOP')
      await vi.waitUntil(() => readController(home)?.stopped === true, { timeout: 5000, interval: 5 })
      child.kill('SIGCONT')
      await vi.waitUntil(() => readController(home)?.stopped === false, { timeout: 5000, interval: 5 })
    } finally {
      child.kill('SIGKILL')
      await once(child, 'exit')
    }
    expect(readController(home)).toBeUndefined()
  })

  test('a controller takes away its own file and nobody else’s', () => {
    writeController(home, aController())
    removeController(home, 'controller-0')
    expect(readController(home)?.id).toBe('controller-1')
    removeController(home, 'controller-1')
    expect(readController(home)).toBeUndefined()
    removeController(home, 'controller-1')
  })
})

describe('what the kernel says of a process', () => {
  const rest = '1 7 7 0 -1 4194304 100 0 0 0 5 6 0 0 20 0 11 0 987654 1000 200'

  test('is read past a command with blanks and parentheses in it', () => {
    for (const command of ['node', 'a b', ') R 1 (', 'x) Z 9 9 (', '((']) {
      expect(parseStat(`42 (${command}) S ${rest}\n`), command).toMatchObject({ state: 'S', startTime: 987654 })
    }
  })

  test('is nothing where the text is none', () => {
    for (const text of ['', '42', '42 (node)', '42 (node) S 1 2']) expect(parseStat(text)).toBeUndefined()
  })

  test('is nothing for a pid that is not there', () => {
    expect(readProcess(2 ** 30)).toBeUndefined()
  })
})
