import type { Spec, Status } from '@holdfast/core'
import type { EngineBinary } from './binary/engine-binary.ts'
import type { Program } from './binary/program.ts'

export interface ProgramsOptions {
  readonly findEngine: (spec: Spec) => Promise<EngineBinary>
  readonly findProxy: () => Promise<Program>
}

/** The programs that run what is kept up: found when they are first needed, and remembered. */
export class Programs {
  readonly #options: ProgramsOptions
  /** The engine that was found for each deployment, and for which wish. */
  readonly #engines = new Map<string, { wanted: string; binary: EngineBinary }>()
  #proxy: Promise<Program> | undefined

  constructor(options: ProgramsOptions) {
    this.#options = options
  }

  async engineFor(spec: Spec): Promise<EngineBinary> {
    const wanted = JSON.stringify(spec.engine)
    const known = this.#engines.get(spec.name)
    if (known?.wanted === wanted) return known.binary
    const binary = await this.find(spec)
    this.#engines.set(spec.name, { wanted, binary })
    return binary
  }

  /** The engine that a spec asks for, found or fetched; what runs its deployment stays as it is. */
  find(spec: Spec): Promise<EngineBinary> {
    return this.#options.findEngine(spec)
  }

  /** What runs a deployment; undefined until it was found. */
  engineOf(name: string): EngineBinary | undefined {
    return this.#engines.get(name)?.binary
  }

  /** The same in a status. */
  engineSeen(name: string): Status['engine'] {
    const binary = this.engineOf(name)
    return binary === undefined ? null : { flavor: binary.flavor, version: binary.version, path: binary.server }
  }

  /** The program that runs the proxies of this home. One that could not be found is looked for again. */
  proxy(): Promise<Program> {
    this.#proxy ??= this.#options.findProxy().catch((error: unknown) => {
      this.#proxy = undefined
      throw error
    })
    return this.#proxy
  }

  forget(name: string): void {
    this.#engines.delete(name)
  }
}
