import type { Spec } from '@holdfast/core'
import type { Flavor } from './version.ts'

/** A server program that was asked for its version just now, and answered with one that Holdfast supports. */
export interface EngineBinary {
  readonly flavor: Flavor
  /** As the program says it: `7.0.15`. */
  readonly version: string
  /** Absolute. Not resolved through symbolic links: the engine decides by its own name what it is. */
  readonly server: string
  readonly cli: string | null
  readonly benchmark: string | null
  /** What all three programs need in their environment, such as LD_LIBRARY_PATH. Empty if nothing. */
  readonly env: Readonly<Record<string, string>>
  readonly source: 'spec' | 'path' | 'cache' | 'fetched' | 'built'
}

/** Where to look, and whom to tell. */
export interface EngineWorld {
  /** HOLDFAST_HOME: fetched engines are kept below it. */
  readonly home: string
  /** The user's cache: what was built from source is kept below it, for all homes. */
  readonly cache: string
  /** The PATH variable to search, and that package tools are run with. */
  readonly path: string
  /** Told what takes long, before it is begun. */
  readonly progress: (line: string) => void
}

export type WantedEngine = Spec['engine']
