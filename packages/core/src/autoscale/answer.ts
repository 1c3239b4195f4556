import type { ScaleDecision } from './decide.ts'
import type { ScalePolicy } from './policy.ts'
import type { LoadSample } from './window.ts'

/** What `GET /api/v1/deployments/:name/autoscale` and `holdfast autoscale show --json` answer. Fields are added, never changed. */
export interface AutoscaleAnswer {
  readonly deployment: string
  /** `off`: the spec wants none, and the policy is that of the defaults. */
  readonly autoscale: 'on' | 'off'
  readonly policy: ScalePolicy
  /** What would be done now, and why. */
  readonly decision: ScaleDecision
  /** The oldest first; times in ms since 1970. */
  readonly samples: readonly LoadSample[]
}
