import type { CertificateWish, Document, EngineBuild, NodePlace, Spec, SpecText, Vacancy } from '@holdfast/core'
import {
  engineUsers,
  heldInFile,
  layOut,
  newSecrets,
  ownedBy,
  ownedDirectives,
  parseSpec,
  placeMore,
  renderUsers,
  roomsFor,
} from '@holdfast/core'
import type { Certified } from '../../src/pki/engine-certificates.ts'
import type { Rendered } from '../../src/reconcile.ts'
import { DeploymentLoop } from '../../src/reconcile.ts'
import { MemoryHistory, MemoryStore } from '../../src/store/memory-store.ts'
import type { Store } from '../../src/store/store.ts'
import type { MakeTurner, Seat } from './controller.ts'
import { sha256 } from './memory/access.ts'
import { spread } from './memory/memory-agent.ts'

const silent = () => undefined

/** The real loop as something that turns. All controllers of one world share the store, as on one machine. */
export function deploymentLoops(
  specText: SpecText,
  store = new MemoryStore(),
  storeOf: (seat: Seat) => Store = () => store,
  hosts?: number,
  /** Of hosts that the spec names: whether one is heard, and could take one more. */
  isHere: (host: string) => boolean = () => true,
): { makeTurner: MakeTurner; store: MemoryStore } {
  const history = new MemoryHistory()
  const spec = parseSpec(specText)
  // In memory it is saved before this returns.
  void store.save(newDocument(specText, hosts))
  const makeTurner: MakeTurner = (seat) =>
    new DeploymentLoop({
      name: spec.name,
      controllerId: seat.id,
      clock: seat.clock,
      engines: seat.engines,
      hosts: seat.hosts,
      store: storeOf(seat),
      history,
      log: { debug: silent, info: silent, warn: silent, error: silent },
      render: (document, wanted) => Promise.resolve(render(document, wanted)),
      certify: (document, wishes) => Promise.resolve(certified(document, wishes)),
      vacancy: (wanted) => Promise.resolve(vacancyOn(wanted, isHere)),
      engine: () => null,
      onPlan: silent,
      onStatus: silent,
      onGone: silent,
    })
  return { makeTurner, store }
}

function vacancyOn(spec: Spec, isHere: (host: string) => boolean): Vacancy {
  const loads = spec.hosts.map(({ name }) => ({ host: name, isHere: isHere(name), facts: null, carried: [] }))
  return { rooms: roomsFor(spec, loads), taken: new Set() }
}

/** Nobody in this world looks at a certificate: it is enough that there is one. */
function certified({ certificates, secrets }: Document, wishes: readonly CertificateWish[]): Certified {
  const made = wishes.map(({ id, addresses }) => [
    id,
    { pem: '', fingerprint: id, addresses, renewAt: Number.MAX_SAFE_INTEGER, endsAt: Number.MAX_SAFE_INTEGER },
  ])
  return { secrets, certificates: { authority: '', of: { ...certificates?.of, ...Object.fromEntries(made) } } }
}

/** What the directives are is of no matter here, but who may sign in is, and so is the version of the engine. */
function render({ nodes, secrets }: Document, spec: Spec): Rendered {
  const owned = ownedDirectives(spec)
  const engine: EngineBuild = { flavor: 'redis', version: spec.engine.version ?? '7.0.15' }
  const users = renderUsers({ spec, secrets, engine, sha256 })
  const signsInWith = sha256(secrets[engineUsers.replication] ?? '')
  const configOf = (node: string): string =>
    Object.entries({ ...ownedBy(node, owned), ...heldInFile(spec) })
      .map(([name, value]) => `${name} ${value === '' ? '""' : value}`)
      .join('\n')
  const files = nodes.map(
    ({ id }) => [id, { config: configOf(id), users, signsInWith, engineVersion: engine.version }] as const,
  )
  return { files: new Map(files), owned }
}

function newDocument(spec: SpecText, hosts?: number): Document {
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
    nodes: hosts === undefined ? layOut(parsed) : spread(layOut(parsed), hosts),
    operations: [],
    scale: { shards: parsed.shards, setBy: 'spec' },
    secrets: newSecrets(() => 'the first'),
    acceptDataLoss: false,
  }
}

/** Those that belong to a deployment: not who stands by, and not who leaves. */
export const membersOf = ({ nodes }: Document): NodePlace[] =>
  nodes.filter(({ spare, leaving }) => spare !== true && leaving === undefined)

/** Places of which a new deployment knows nothing yet, in the order in which they will be given. */
export const moreNodes = (spec: SpecText, count: number): NodePlace[] =>
  placeMore(
    newDocument(spec),
    parseSpec(spec),
    Array.from({ length: count }, () => ({ shard: 'shard-1' })),
    () => false,
  )

/** The directives that the memory agent reads back. */
export const ownedNames = (specText: SpecText): string[] => Object.keys(ownedDirectives(parseSpec(specText)))
