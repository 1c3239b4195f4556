import type { Command } from 'commander'
import type { Run } from './run.ts'
import { specHelp } from './run.ts'

/** What is wanted. */
export function addWishes(program: Command, run: Run): void {
  program
    .command('plan')
    .argument('<spec>', `${specHelp}; with --rebalance, the name of a deployment`)
    .option('--config', "show every engine's config too, passwords masked")
    .option('--rebalance', 'how its slots would be shared out anew')
    .option('--by <what>', 'what is shared out: slots, bytes or load (default: slots)')
    .option('--weight <shard=share...>', 'such as shard-2=0.5: half of what others have; with 0 it is emptied')
    .option('--json', 'for programs')
    .description('what apply, or a rebalance, would do; changes nothing')
    .action((spec, options) =>
      run(async (context) => {
        if (options.rebalance === true) {
          return (await import('../rebalance.ts')).planRebalance(context, spec, options)
        }
        return (await import('../spec.ts')).plan(context, spec, options)
      }),
    )
  program
    .command('apply')
    .argument('<spec>', specHelp)
    .option('-y, --yes', 'do not ask')
    .option('--wait', 'return only when it is as specified')
    .option('--accept-eviction', 'less memory may cost a cache the keys that do not fit')
    .description('change what is wanted; the controller does the rest')
    .action((spec, options) => run(async (context) => (await import('../spec.ts')).apply(context, spec, options)))
  program
    .command('advise')
    .option('--data <size>', 'how much data it is today, such as 4gb')
    .option('--ops <count>', 'commands a second at the busiest time')
    .option('--from <url>', 'measure both on a running engine or Cluster instead; nothing is changed there')
    .option('--name <name>', 'how it shall be called (default: shop)')
    .option('--use <use>', 'cache, session, queue or primary-store (default: cache)')
    .option('--growth <share>', 'by how much it grows in a month (default: 5%)')
    .option('--months <count>', 'for how long it shall last (default: 6)')
    .option('--writes <share>', 'the share of commands that write (default: 20%)')
    .option('--loss <loss>', 'of acknowledged writes: a-moment or zero (default: a-moment)')
    .option('--outage <outage>', 'none, or restart: it may be away while one engine starts (default: none)')
    .option('--multi-key <keys>', 'commands over several keys: none, together or any (default: none)')
    .option('--zones <count>', 'over how many zones it is spread (default: 1)')
    .option('--node-memory <size>', 'what one engine may take of its machine (default: 16gb)')
    .option('--json', 'for programs')
    .description('which deployment fits what you need, as a spec with its reasons; asks what was not said')
    .addHelpText('after', adviseHelp)
    .action((options) => run(async (context) => (await import('../advise.ts')).advise(context, options)))
}

const adviseHelp = `
Examples:
  holdfast advise                                    asks
  holdfast advise --data 40gb --ops 80000 > shop.yaml
  holdfast advise --from redis://:secret@10.0.0.7:6379 --growth 10%`
