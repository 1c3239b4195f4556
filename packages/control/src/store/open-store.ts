/** The store of a home: its own file, or the etcd that it shares with other controllers. */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { HoldfastError } from '@holdfast/core'
import { systemClock } from '../clock.ts'
import { bootId } from '../proc.ts'
import { writeAtomically } from '../write-file.ts'
import { onDisk } from './disk-error.ts'
import type { EtcdStore } from './etcd/etcd-store.ts'
import type { EtcdPlace } from './etcd/place.ts'
import type { Home } from './home.ts'
import { secretKey } from './secret-key.ts'
import { SqliteStore } from './sqlite-store.ts'
import type { HomeStore } from './store.ts'

/** Opens what the home says that it has. Throws UNREACHABLE_STORE, REFUSED_UNSAFE, and what a disk says. */
export async function openStore(home: Home): Promise<HomeStore> {
  const place = await savedPlace(home)
  return place === undefined ? new SqliteStore({ home, bootId: bootId() }) : openEtcd(home, place)
}

/**
 * From now on the home has its store there, and what its own file has is taken along where there is nothing yet. Throws
 * REFUSED_UNSAFE where both have something, or where a deployment is of this machine alone.
 */
export async function chooseEtcd(home: Home, place: EtcdPlace, say: (line: string) => void): Promise<void> {
  const before = await savedPlace(home)
  const store = await openEtcd(home, place)
  try {
    if (before === undefined && existsSync(home.state)) {
      const { takeAlong } = await import('./etcd/take-along.ts')
      const file = new SqliteStore({ home, bootId: bootId() })
      try {
        const taken = await takeAlong(file, store)
        if (taken.length > 0) say(`taken along into etcd: ${taken.join(', ')}`)
      } finally {
        file.close()
      }
    }
    onDisk(placePath(home), () => writeAtomically(placePath(home), `${JSON.stringify(place, null, 2)}\n`))
  } finally {
    store.close()
  }
}

/** Where the members of its etcd are; none where it has a file. */
export const etcdEndpoints = async (home: Home): Promise<readonly string[]> => (await savedPlace(home))?.endpoints ?? []

const placePath = (home: Pick<Home, 'path'>): string => join(home.path, 'store.json')

async function savedPlace(home: Home): Promise<EtcdPlace | undefined> {
  const path = placePath(home)
  if (!existsSync(path)) return undefined
  const { readEtcdPlace } = await import('./etcd/place.ts')
  return readEtcdPlace(
    onDisk(path, () => readFileSync(path, 'utf8')),
    path,
  )
}

/** Loaded where it is needed: most homes have a file. */
async function openEtcd(home: Home, place: EtcdPlace): Promise<EtcdStore> {
  const { EtcdGateway } = await import('./etcd/gateway.ts')
  const etcd = await import('./etcd/etcd-store.ts')
  const { termsOf } = await import('./etcd/place.ts')
  const key = (isNew: boolean): Buffer => {
    if (isNew || existsSync(home.key)) return secretKey(home.key, true)
    throw new HoldfastError(
      'REFUSED_UNSAFE',
      `${home.key} is not there, and what is in etcd is sealed with it: copy the file from the home of another controller, for its owner alone to read, then start again`,
      { path: home.key },
    )
  }
  return etcd.EtcdStore.open({
    gateway: new EtcdGateway(termsOf(place)),
    prefix: place.prefix,
    key,
    clock: systemClock,
  })
}
