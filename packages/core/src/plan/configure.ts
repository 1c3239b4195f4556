/** Directives that Holdfast owns, and users, are put back when they were changed by hand or in the spec. */
import type { Action, PlanNote } from '../action.ts'
import { ownedBy } from '../persistence-config.ts'
import type { PlanInput, Step } from './step.ts'
import { act, idle } from './step.ts'

export function planConfigure({ picture, files, owned }: PlanInput): Step {
  const actions: Action[] = []
  const notes: PlanNote[] = []
  for (const node of picture.nodes) {
    const rendered = files.get(node.id)
    if (node.gone || node.agent === null || rendered === undefined) continue
    const { config, usersMatch } = node.agent
    const wanted = ownedBy(node.id, owned)
    const set = config === null || node.facts === null ? {} : driftOf(config, wanted)
    if (Object.keys(set).length > 0) {
      actions.push({ kind: 'configure', node: node.id, set, files: rendered })
      const told = Object.keys(set).map((name) => `${name} is "${config?.[name] ?? ''}", not "${set[name] ?? ''}"`)
      notes.push({ kind: 'drift', subject: node.id, because: `${node.id}: ${told.join(', ')}` })
    }
    // Also where our own reading user was taken away, and the engine turns us away.
    if (usersMatch === false && node.life !== 'silent') {
      actions.push({ kind: 'load-users', node: node.id, files: rendered })
      notes.push({ kind: 'drift', subject: node.id, because: `${node.id}: its users are not those of the deployment` })
    }
  }
  if (actions.length === 0) return idle
  return act(`not as specified: ${notes.map(({ because }) => because).join('; ')}`, actions, notes)
}

/** Directives whose value is not the wanted one. What the engine does not have is not drift. */
function driftOf(
  config: Readonly<Record<string, string>>,
  owned: Readonly<Record<string, string>>,
): Record<string, string> {
  return Object.fromEntries(
    Object.entries(owned).filter(([name, value]) => config[name] !== undefined && config[name] !== value),
  )
}
