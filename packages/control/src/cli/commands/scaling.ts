import type { Command } from 'commander'
import type { Run } from './run.ts'
import { nameHelp } from './run.ts'

/** How large it is, and should be. */
export function addScaling(program: Command, run: Run): void {
  const autoscale = program
    .command('autoscale')
    .argument('[name]', nameHelp)
    .option('--json', 'for programs; with the samples, which "simulate" takes as a trace')
    .description('what would be done about the size of a deployment now, and why')
    .action((name, options) =>
      run(async (context) => (await import('../autoscale.ts')).autoscale(context, name, options)),
    )
  autoscale
    .command('simulate')
    .requiredOption('--trace <file>', 'CPU and memory over a time, as CSV or JSON (docs/autoscale.md)')
    .option('--policy <spec>', 'a spec whose "autoscale" is tried out (default: the defaults)')
    .option('--shards <count>', 'how many there are at first (default: those of the trace)')
    .option('--action-time <time>', 'how long adding or removing a shard takes', '60s')
    .option('--json', 'for programs')
    .description('play a trace against a policy, and draw what it would have done')
    .addHelpText('after', simulateHelp)
    .action((options) => run(async (context) => (await import('../autoscale.ts')).simulate(context, options)))
}

const simulateHelp = `
Example:
  holdfast autoscale simulate --trace friday.csv --policy shop.yaml`
