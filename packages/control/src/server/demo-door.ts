import type { DemoAction, DemoFrame, DemoState } from '@holdfast/core'

/** The demonstration, as its page sees it. Only `holdfast demo` has one. */
export interface DemoDoor {
  state(): DemoState
  /** Does what a button says; answers what was done, in one sentence. Throws HoldfastError. */
  press(action: DemoAction, actor: string): Promise<string>
  /** Ends the fault that lasts, now. */
  stopFault(actor: string): Promise<string>
  /** Calls back with every frame; answers how to stop. */
  onFrame(listener: (frame: DemoFrame) => void): () => void
}
