import type { Action, NodeFiles, PlanNote } from '../action.ts'
import type { CertificateWish, SuppliedSeen } from '../certificates.ts'
import type { Document, PlaceChange } from '../document.ts'
import type { Operation } from '../operation.ts'
import type { Secrets } from '../passwords.ts'
import type { Picture } from '../picture.ts'
import type { Room } from '../placement/spread.ts'
import type { Spec, SpecText } from '../spec.ts'

/** All that a rule may look at. */
export interface PlanInput {
  readonly spec: Spec
  readonly document: Document
  readonly picture: Picture
  /** Wall clock at `picture.at`, ms since 1970: what people's times are compared with. */
  readonly wallNow: number
  /** Which boot `picture.at` belongs to: times that were kept by the clock of another one mean nothing. */
  readonly boot: string
  /** The rendered files of each node, by its id. */
  readonly files: ReadonlyMap<string, NodeFiles>
  /** The values that the directives we own should have. */
  readonly owned: Readonly<Record<string, string>>
  /** Where the spec names certificates: its files, as they are now. */
  readonly supplied?: SuppliedSeen
  /** Where one more node could go. Absent: nobody has looked, as while no host is lost. */
  readonly vacancy?: Vacancy
}

/** What a node that comes would find on the hosts. */
export interface Vacancy {
  readonly rooms: readonly Room[]
  /** The ports that other deployments have. */
  readonly taken: ReadonlySet<number>
}

/**
 * What one rule says. The first rule with actions decides the turn; where none has any, the sentences of those that
 * wait are what there is to tell.
 */
export interface Step {
  readonly actions: readonly Action[]
  readonly because: string | null
  readonly notes: readonly PlanNote[]
  readonly lookAgainMs: number | null
  /** Operations as they are from now on: saved before anything is done. */
  readonly operations?: readonly Operation[]
  /** Places as they are from now on, saved with them. */
  readonly places?: readonly PlaceChange[]
  /** The passwords as they are from now on: saved together with the operations. */
  readonly secrets?: Secrets
  /** The spec's `engine` from now on. */
  readonly engine?: SpecText
  /** How many shards there shall be from now on. */
  readonly scale?: Document['scale']
  /** Certificates to be made, and saved. */
  readonly certify?: readonly CertificateWish[]
}

export const idle: Step = { actions: [], because: null, notes: [], lookAgainMs: null }

export const act = (because: string, actions: readonly Action[], notes: readonly PlanNote[] = []): Step => ({
  actions,
  because,
  notes,
  lookAgainMs: null,
})

export const wait = (because: string, lookAgainMs: number | null = null, notes: readonly PlanNote[] = []): Step => ({
  actions: [],
  because,
  notes,
  lookAgainMs,
})

/** Nothing but a change of an operation: it is saved, and the next turn acts on it. */
export const record = (operation: Operation): Step => ({
  ...idle,
  because: operation.because,
  lookAgainMs: 0,
  operations: [operation],
})

/** Nothing but a change of the layout. */
export const replan = (because: string, places: readonly PlaceChange[]): Step => ({
  ...idle,
  because,
  lookAgainMs: 0,
  places,
})

/** Several steps of one kind as one: their actions together, their sentences in a row. */
export function join(steps: readonly Step[]): Step {
  const acting = steps.filter((step) => step.actions.length > 0)
  const secrets = steps.find((step) => step.secrets !== undefined)?.secrets
  const engine = steps.find((step) => step.engine !== undefined)?.engine
  const scale = steps.find((step) => step.scale !== undefined)?.scale
  const certify = steps.find((step) => step.certify !== undefined)?.certify
  const told = (acting.length > 0 ? acting : steps).flatMap((step) => (step.because === null ? [] : [step.because]))
  return {
    actions: acting.flatMap((step) => step.actions),
    because: told.length === 0 ? null : told.join('; '),
    notes: steps.flatMap((step) => step.notes),
    lookAgainMs: soonest(steps.map((step) => step.lookAgainMs)),
    operations: steps.flatMap((step) => step.operations ?? []),
    places: steps.flatMap((step) => step.places ?? []),
    ...(secrets === undefined ? {} : { secrets }),
    ...(engine === undefined ? {} : { engine }),
    ...(scale === undefined ? {} : { scale }),
    ...(certify === undefined ? {} : { certify }),
  }
}

export function soonest(times: readonly (number | null)[]): number | null {
  const known = times.filter((time) => time !== null)
  return known.length === 0 ? null : Math.max(0, Math.min(...known))
}
