import type { FaultPreview, FaultSeen, FaultWish, HoldfastEvent, SpecText, Status, UserAccess } from '@holdfast/core'
import { HoldfastError } from '@holdfast/core'

/** What a drill asks of a controller. */
export interface Desk {
  status(name: string): Promise<Status>
  spec(name: string): Promise<{ readonly spec: SpecText }>
  credentials(name: string): Promise<UserAccess>
  events(name: string, limit: number): Promise<HoldfastEvent[]>
  previewFault(name: string, wish: FaultWish): Promise<FaultPreview>
  injectFault(name: string, wish: FaultWish): Promise<FaultSeen>
  faults(name: string): Promise<FaultSeen[]>
  healFault(name: string, id: string): Promise<FaultSeen>
}

/** The controller of this home as it is now; undefined where none runs at the moment, or one that is stopped. */
export type FindDesk = () => Desk | undefined

/** The answer, or undefined where nobody can give it now: the drill may have killed the controller itself. */
export async function askIfThere<T>(find: FindDesk, question: (desk: Desk) => Promise<T>): Promise<T | undefined> {
  try {
    const desk = find()
    return desk === undefined ? undefined : await question(desk)
  } catch (error) {
    if (error instanceof HoldfastError && error.code.startsWith('UNREACHABLE_')) return undefined
    throw error
  }
}
