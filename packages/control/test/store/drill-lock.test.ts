import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { bootId, readProcess } from '../../src/proc.ts'
import { readDrillLock, releaseDrillLock, takeDrillLock } from '../../src/store/drill-lock.ts'
import type { Home } from '../../src/store/home.ts'
import { temporaryHome } from './temporary-home.ts'

let home: Home
let clean: () => void
beforeEach(() => ({ home, clean } = temporaryHome()) && undefined)
afterEach(() => clean())

const fileOf = (deployment: string): string => join(home.agent, 'drills', `${deployment}.json`)

describe('a drill has its deployment to itself', () => {
  test('until it gives it back', () => {
    expect(readDrillLock(home, 'shop')).toBeUndefined()
    const lock = takeDrillLock(home, 'shop', 'd-1')
    expect(readDrillLock(home, 'shop')).toEqual(lock)
    expect(lock).toMatchObject({ id: 'd-1', pid: process.pid, bootId: bootId() })
    expect(statSync(fileOf('shop')).mode & 0o777).toBe(0o600)
    releaseDrillLock(home, 'shop', 'd-1')
    expect(readDrillLock(home, 'shop')).toBeUndefined()
  })

  test('another is refused, and of another deployment is not', () => {
    takeDrillLock(home, 'shop', 'd-1')
    expect(() => takeDrillLock(home, 'shop', 'd-2')).toThrow(
      `drill d-1 (pid ${process.pid}) has shop to itself: wait until it is over, or end it`,
    )
    takeDrillLock(home, 'orders', 'd-3')
    releaseDrillLock(home, 'shop', 'd-2')
    expect(readDrillLock(home, 'shop')?.id).toBe('d-1')
  })

  test('and not longer than its process lives, nor after a restart of the machine', async () => {
    const child = spawn('sleep', ['60'], { stdio: 'ignore' })
    await once(child, 'spawn')
    const pid = child.pid ?? 0
    const lock = { id: 'd-1', pid, startTime: readProcess(pid)?.startTime, bootId: bootId(), since: 1 }
    takeDrillLock(home, 'shop', 'd-0')
    writeFileSync(fileOf('shop'), JSON.stringify(lock))
    expect(readDrillLock(home, 'shop')?.id).toBe('d-1')
    writeFileSync(fileOf('shop'), JSON.stringify({ ...lock, bootId: 'another' }))
    expect(readDrillLock(home, 'shop')).toBeUndefined()
    writeFileSync(fileOf('shop'), JSON.stringify(lock))
    child.kill('SIGKILL')
    await once(child, 'exit')
    expect(readDrillLock(home, 'shop')).toBeUndefined()
    takeDrillLock(home, 'shop', 'd-2')
    expect(JSON.parse(readFileSync(fileOf('shop'), 'utf8'))).toMatchObject({ id: 'd-2' })
  })

  test('one that was cut off while it was written holds nobody up', () => {
    takeDrillLock(home, 'shop', 'd-1')
    writeFileSync(fileOf('shop'), '{"id":"d')
    expect(readDrillLock(home, 'shop')).toBeUndefined()
    expect(takeDrillLock(home, 'shop', 'd-2').id).toBe('d-2')
  })
})
