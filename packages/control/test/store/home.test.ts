import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  closeSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { HoldfastError } from '@holdfast/core'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { writeController } from '../../src/store/controller-file.ts'
import { diskError, onDisk } from '../../src/store/disk-error.ts'
import { homeAt, homePath, openHome } from '../../src/store/home.ts'
import { SqliteHistory } from '../../src/store/sqlite-history.ts'
import { SqliteStore } from '../../src/store/sqlite-store.ts'
import { aController } from './a-controller.ts'
import { aDocument, anEvent, codeOf } from './store.contract.ts'
import { myUid, temporaryDirectory } from './temporary-home.ts'

let path: string
let clean: () => void
beforeEach(() => ({ path, clean } = temporaryDirectory()) && undefined)
afterEach(() => clean())
const open = (at: string) => openHome(at, { uid: myUid })
const modeOf = (file: string): number => statSync(file).mode & 0o777

describe('where the home is', () => {
  test('the variable wins, else a directory of the user', () => {
    expect(homePath({ HOLDFAST_HOME: '/srv/holdfast' }, '/home/ada')).toBe('/srv/holdfast')
    expect(homePath({}, '/home/ada')).toBe('/home/ada/.holdfast')
    expect(homePath({ HOLDFAST_HOME: '' }, '/home/ada')).toBe('/home/ada/.holdfast')
  })

  test('deployments and nodes have directories in it, and no name leads out of it', () => {
    const home = open(join(path, 'home'))
    expect(home.node('shop', 'node-1')).toBe(join(path, 'home/deployments/shop/node-1'))
    for (const name of ['..', '../x', 'a/b', '', '.', 'A', '-x', 'a\0b']) {
      expect(
        codeOf(() => home.deployment(name)),
        JSON.stringify(name),
      ).toBe('USAGE')
      expect(
        codeOf(() => home.node('shop', name)),
        JSON.stringify(name),
      ).toBe('USAGE')
    }
  })
})

describe('opening a home', () => {
  test('makes it, for its owner alone, and opens it again', () => {
    const at = join(path, 'deep/home')
    open(at)
    expect(modeOf(at)).toBe(0o700)
    expect(readFileSync(join(at, 'version'), 'utf8')).toBe('1\n')
    expect(open(at).path).toBe(at)
    expect(readdirSync(at).sort()).toEqual(['agent', 'deployments', 'engines', 'version'])
  })

  test('closes one that others could read', () => {
    const at = join(path, 'home')
    open(at)
    chmodSync(at, 0o755)
    open(at)
    expect(modeOf(at)).toBe(0o700)
  })

  test('refuses a directory of something else, and does not close it', () => {
    writeFileSync(join(path, 'thesis.txt'), '')
    chmodSync(path, 0o755)
    expect(codeOf(() => open(path))).toBe('USAGE')
    expect(modeOf(path)).toBe(0o755)
    expect(readdirSync(path)).toEqual(['thesis.txt'])
  })

  test('takes one that so far only holds a fetched engine', () => {
    mkdirSync(join(path, 'engines'))
    expect(open(path).engines).toBe(join(path, 'engines'))
  })

  test('takes one that so far only holds the key of another controller', () => {
    writeFileSync(join(path, 'secret.key'), 'x', { mode: 0o600 })
    expect(open(path).key).toBe(join(path, 'secret.key'))
  })

  test("refuses another user's", () => {
    const at = join(path, 'home')
    open(at)
    expect(codeOf(() => openHome(at, { uid: myUid + 1 }))).toBe('HOST_HOME_FOREIGN')
  })

  test('refuses a newer version, and writes nothing there', () => {
    const at = join(path, 'home')
    open(at)
    writeFileSync(join(at, 'version'), '2\n')
    const before = readdirSync(at)
    expect(codeOf(() => open(at))).toBe('HOST_HOME_NEWER')
    expect(readdirSync(at)).toEqual(before)
  })

  test('refuses a file', () => {
    const at = join(path, 'file')
    writeFileSync(at, '')
    expect(codeOf(() => open(at))).toBe('USAGE')
    expect(codeOf(() => open(join(at, 'below')))).toBe('USAGE')
  })

  test('every refusal says what, where and what to do', () => {
    const at = join(path, 'home')
    open(at)
    writeFileSync(join(at, 'version'), '2\n')
    expect(() => open(at)).toThrow(`${at} was written by a newer Holdfast`)
    expect(() => open(at)).toThrow(/Run that version, or name another HOLDFAST_HOME/)
  })
})

const errno = (code: string) => Object.assign(new Error(code), { code })

describe('a disk that takes no writes', () => {
  test.each([
    ['ENOSPC', 'HOST_DISK_FULL'],
    ['EDQUOT', 'HOST_DISK_FULL'],
    ['SQLITE_FULL', 'HOST_DISK_FULL'],
    ['EROFS', 'HOST_READ_ONLY'],
    ['EACCES', 'HOST_READ_ONLY'],
    ['SQLITE_READONLY', 'HOST_READ_ONLY'],
    ['SQLITE_READONLY_DBMOVED', 'HOST_READ_ONLY'],
    ['SQLITE_IOERR_WRITE', 'HOST_READ_ONLY'],
    ['SQLITE_BUSY', 'HOST_HOME_IN_USE'],
    ['SQLITE_CORRUPT', 'REFUSED_UNSAFE'],
  ])('%s is %s', (code, expected) => {
    const error = diskError(errno(code), '/x/state.db')
    expect(error).toBeInstanceOf(HoldfastError)
    expect(error).toMatchObject({ code: expected, facts: { path: '/x/state.db' } })
  })

  test('what is not about the disk stays what it was', () => {
    const bug = new TypeError('x is undefined')
    expect(diskError(bug, '/x')).toBe(bug)
  })
})

describe('a disk that is really full, or really read-only', () => {
  // Only a privileged user may mount a small disk. Anybody else meets the same refusals of the kernel at its devices.
  test('a home on a full disk is refused; with room again it opens, and nothing was lost', async () => {
    const disk = mountSmallDisk(join(path, 'disk'))
    if (disk === undefined) {
      expect(codeOf(() => onDisk('/dev/full', () => writeFileSync('/dev/full', 'x')))).toBe('HOST_DISK_FULL')
      return
    }
    try {
      const home = open(join(disk.path, 'home'))
      const store = new SqliteStore({ home, bootId: 'boot' })
      const history = new SqliteHistory({ home })
      const saved = await store.save(aDocument())
      const kept = history.append(anEvent())
      const filler = join(disk.path, 'filler')
      fill(filler)
      expect(codeOf(() => open(home.path))).toBe('HOST_DISK_FULL')
      const big = { ...saved, spec: { ...saved.spec, displayName: 'x'.repeat(20_000) } }
      expect(await codeOf(() => store.save(big))).toBe('HOST_DISK_FULL')
      expect(codeOf(() => history.append(anEvent({ because: 'x'.repeat(20_000) })))).toBe('HOST_DISK_FULL')
      expect(codeOf(() => writeController(home, aController()))).toBe('HOST_DISK_FULL')
      expect(store.load('shop')).toEqual(saved)
      expect(history.latest({})).toEqual([kept])
      rmSync(filler)
      expect(open(home.path).path).toBe(home.path)
      expect((await store.save(big)).revision).toBe(saved.revision + 1)
      store.close()
      history.close()
    } finally {
      disk.unmount()
    }
  })

  test('a home that cannot be written is refused', () => {
    const disk = mountSmallDisk(join(path, 'disk'))
    if (disk === undefined) {
      const closed = join(path, 'closed')
      mkdirSync(closed, { mode: 0o500 })
      expect(codeOf(() => open(join(closed, 'home')))).toBe('HOST_READ_ONLY')
      return
    }
    try {
      const home = open(join(disk.path, 'home'))
      new SqliteStore({ home, bootId: 'boot' }).close()
      const frozen = join(path, 'frozen')
      mkdirSync(frozen)
      execFileSync('/bin/mount', ['--bind', disk.path, frozen])
      try {
        execFileSync('/bin/mount', ['-o', 'remount,bind,ro', frozen])
        expect(codeOf(() => open(join(frozen, 'home')))).toBe('HOST_READ_ONLY')
        expect(codeOf(() => open(join(frozen, 'second')))).toBe('HOST_READ_ONLY')
        expect(codeOf(() => new SqliteStore({ home: homeAt(join(frozen, 'home')), bootId: 'boot' }))).toBe(
          'HOST_READ_ONLY',
        )
      } finally {
        execFileSync('/bin/umount', ['--lazy', frozen])
      }
    } finally {
      disk.unmount()
    }
  })
})

function mountSmallDisk(at: string): { path: string; unmount: () => void } | undefined {
  mkdirSync(at)
  try {
    execFileSync('/bin/mount', ['-t', 'tmpfs', '-o', 'size=1m', 'none', at], { stdio: 'ignore' })
  } catch {
    return undefined
  }
  return { path: at, unmount: () => execFileSync('/bin/umount', ['--lazy', at]) }
}

/** Takes all the room that is left. */
function fill(file: string): void {
  const handle = openSync(file, 'w')
  try {
    while (writeSync(handle, Buffer.alloc(4096)) === 4096);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOSPC')) throw error
  } finally {
    closeSync(handle)
  }
}
