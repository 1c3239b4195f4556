import type { Adoption } from '@holdfast/core'
import { seal, unseal } from '../seal.ts'
import { adoptionLabel, nameTaken } from '../sqlite-adoptions.ts'
import type { AdoptionStore } from '../store.ts'
import { documentKey, isDocument } from './documents.ts'
import type { Mirror } from './mirror.ts'

interface Kept {
  readonly body: Omit<Adoption, 'secrets'>
  readonly sealed: string
}

export class EtcdAdoptions implements AdoptionStore {
  readonly #mirror: Mirror
  readonly #key: Buffer

  constructor(mirror: Mirror, key: Buffer) {
    this.#mirror = mirror
    this.#key = key
  }

  names(): string[] {
    return this.#mirror.under(keyOf('')).map(({ name }) => name)
  }

  load(name: string): Adoption | undefined {
    const entry = this.#mirror.get(keyOf(name))
    if (entry === undefined) return undefined
    const { body, sealed } = JSON.parse(entry.value) as Kept
    const secrets = JSON.parse(unseal(this.#key, adoptionLabel(name), sealed)) as Adoption['secrets']
    return { ...body, secrets }
  }

  async add(adoption: Adoption): Promise<void> {
    const { name } = adoption
    const [mine, theirs] = [keyOf(name), documentKey(name)]
    const isTaken = this.#mirror.get(mine) !== undefined || isDocument(this.#mirror.get(theirs))
    // Written only where no deployment of this name has come meanwhile.
    if (isTaken || !(await this.#mirror.write(mine, this.#textOf(adoption), [theirs]))) throw nameTaken(name)
  }

  async relocate(adoption: Adoption): Promise<void> {
    const mine = keyOf(adoption.name)
    if (this.#mirror.get(mine) !== undefined) await this.#mirror.write(mine, this.#textOf(adoption))
  }

  async remove(name: string): Promise<void> {
    const mine = keyOf(name)
    while (this.#mirror.get(mine) !== undefined) if (await this.#mirror.write(mine, undefined)) return
  }

  #textOf({ secrets, ...body }: Adoption): string {
    const kept: Kept = { body, sealed: seal(this.#key, adoptionLabel(body.name), JSON.stringify(secrets)) }
    return JSON.stringify(kept)
  }
}

const keyOf = (name: string): string => `adoptions/${name}`
