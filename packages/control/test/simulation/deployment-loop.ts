import type { Document, SpecText } from '@holdfast/core'
import { heldInFile, layOut, ownedBy, ownedDirectives, parseSpec } from '@holdfast/core'
import { DeploymentLoop } from '../../src/reconcile.ts'
import { MemoryHistory, MemoryStore } from '../../src/store/memory-store.ts'
import type { MakeTurner } from './controller.ts'

const silent = () => undefined

/** The real loop as something that turns. All controllers of one world share the store, as on one machine. */
export function deploymentLoops(specText: SpecText): { makeTurner: MakeTurner; store: MemoryStore } {
  const store = new MemoryStore()
  const history = new MemoryHistory()
  const spec = parseSpec(specText)
  const owned = ownedDirectives(spec)
  const configOf = (node: string): string =>
    Object.entries({ ...ownedBy(node, owned), ...heldInFile(spec) })
      .map(([name, value]) => `${name} ${value === '' ? '""' : value}`)
      .join('\n')
  store.save(newDocument(specText))
  const makeTurner: MakeTurner = (seat) =>
    new DeploymentLoop({
      name: spec.name,
      controllerId: seat.id,
      clock: seat.clock,
      engines: seat.engines,
      hosts: seat.hosts,
      store,
      history,
      log: { debug: silent, info: silent, warn: silent, error: silent },
      render: ({ nodes }) => {
        const files = nodes.map(({ id }) => [id, { config: configOf(id), users: 'user app on' }] as const)
        return Promise.resolve({ files: new Map(files), owned })
      },
      engine: () => null,
      onStatus: silent,
      onGone: silent,
    })
  return { makeTurner, store }
}

function newDocument(spec: SpecText): Document {
  const parsed = parseSpec(spec)
  return {
    apiVersion: 1,
    name: parsed.name,
    revision: 0,
    specRevision: 1,
    settledRevision: 0,
    spec,
    wanted: 'up',
    purge: false,
    nodes: layOut(parsed),
    operations: [],
    scale: { shards: parsed.shards, setBy: 'spec' },
    secrets: {},
    acceptDataLoss: false,
  }
}

/** The directives that the memory agent reads back. */
export const ownedNames = (specText: SpecText): string[] => Object.keys(ownedDirectives(parseSpec(specText)))
