import type { Context } from './context.ts'
import type { DrillOptions } from './drill.ts'
import { drill, listFaults, stopFaults, usage } from './drill.ts'
import type { CiOptions } from './drill-ci.ts'
import { drillWhile } from './drill-ci.ts'

/** `holdfast drill`: one of its four uses. */
export async function drillCommand(
  context: Context,
  name: string | undefined,
  fault: string | undefined,
  options: DrillOptions & CiOptions,
  command: readonly string[],
): Promise<number | void> {
  const { list = false, stop = false, ci = false } = options
  if (command.length > 0 && !ci) throw usage('a command after "--" is run with --ci only')
  if (list) return listFaults(context, options.json === true)
  if (name === undefined) throw usage('which deployment, and which fault? "holdfast drill --list" shows what there is')
  if (stop) return stopFaults(context, name)
  if (fault === undefined) throw usage(`which fault on ${name}? "holdfast drill --list" shows what there is`)
  return ci ? drillWhile(context, name, fault, options, command) : drill(context, name, fault, options)
}
