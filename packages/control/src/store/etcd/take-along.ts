import { HoldfastError, localHostId } from '@holdfast/core'
import { bring, contentsOf } from '../contents.ts'
import type { HomeStore } from '../store.ts'

/**
 * Brings all that a home has in its own file into an etcd that has nothing yet. Epochs go on from where they were. Answers
 * the names of what was brought; done twice, it brings what was left.
 */
export async function takeAlong(file: HomeStore, etcd: HomeStore): Promise<string[]> {
  const contents = contentsOf(file)
  const ofThisMachine = contents.documents
    .filter(({ document }) => document.nodes.some(({ host }) => host === localHostId))
    .map(({ document }) => document.name)
  if (ofThisMachine.length > 0) {
    throw new HoldfastError(
      'REFUSED_UNSAFE',
      `${ofThisMachine.join(', ')} of this home is of this machine alone, and another controller could not keep it up: take it down with "holdfast down NAME --purge", or begin with a HOLDFAST_HOME of its own. Nothing was changed.`,
      { deployments: ofThisMachine },
    )
  }
  const theirs = etcd.names()
  const isMixed = contents.documents.some(({ document }) =>
    isAnother(document.secrets, etcd.load(document.name)?.secrets),
  )
  const isForeign = theirs.length > 0 && contents.documents.some(({ document }) => !theirs.includes(document.name))
  if (isMixed || isForeign) {
    const names = file.names()
    throw new HoldfastError(
      'REFUSED_UNSAFE',
      `this home keeps ${names.join(', ')}, and there is ${theirs.join(', ')} in that etcd already: choose another prefix (etcds://HOST:2379/PREFIX), or a HOLDFAST_HOME of its own. Nothing was changed.`,
      { here: names, there: theirs },
    )
  }
  return bring(contents, etcd)
}

type Secrets = Readonly<Record<string, string>>

/** Two of the same name, of which neither is a copy of the other. */
const isAnother = (mine: Secrets, theirs: Secrets | undefined): boolean =>
  theirs !== undefined && JSON.stringify(mine) !== JSON.stringify(theirs)
