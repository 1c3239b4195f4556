import { HoldfastError, localHostId } from '@holdfast/core'
import type { SqliteStore } from '../sqlite-store.ts'
import type { EtcdStore } from './etcd-store.ts'

/**
 * Brings all that a home has in its own file into an etcd that has nothing yet. Epochs go on from where they were, since
 * agents remember the highest. Answers the names of what was brought; done twice, it brings what was left.
 */
export async function takeAlong(file: SqliteStore, etcd: EtcdStore): Promise<string[]> {
  const names = file.names()
  const ofThisMachine = names.filter((name) => file.load(name)?.nodes.some(({ host }) => host === localHostId))
  if (ofThisMachine.length > 0) {
    throw new HoldfastError(
      'REFUSED_UNSAFE',
      `${ofThisMachine.join(', ')} of this home is of this machine alone, and another controller could not keep it up: take it down with "holdfast down NAME --purge", or begin with a HOLDFAST_HOME of its own. Nothing was changed.`,
      { deployments: ofThisMachine },
    )
  }
  const isOthers = etcd.names().length > 0 && names.some((name) => !isSame(file, etcd, name))
  if (isOthers) {
    throw new HoldfastError(
      'REFUSED_UNSAFE',
      `this home keeps ${names.join(', ')}, and there is ${etcd.names().join(', ')} in that etcd already: choose another prefix (etcds://HOST:2379/PREFIX), or a HOLDFAST_HOME of its own. Nothing was changed.`,
      { here: names, there: etcd.names() },
    )
  }
  for (const key of file.settings.keys('')) await etcd.settings.swap(key, undefined, file.settings.get(key))
  for (const name of names) {
    const document = file.load(name)
    if (document === undefined || etcd.load(name) !== undefined) continue
    await etcd.beginAt(name, file.epochOf(name))
    await etcd.save({ ...document, revision: 0 })
  }
  const adopted = file.adoptions.names().filter((name) => !etcd.adoptions.names().includes(name))
  for (const name of adopted) {
    const adoption = file.adoptions.load(name)
    if (adoption !== undefined) await etcd.adoptions.add(adoption)
  }
  return [...names, ...adopted].sort()
}

/** Whether a first try has brought it. */
const isSame = (file: SqliteStore, etcd: EtcdStore, name: string): boolean =>
  etcd.load(name) === undefined || JSON.stringify(etcd.load(name)?.secrets) === JSON.stringify(file.load(name)?.secrets)
