import type { Command } from 'commander'
import type { Run } from './run.ts'
import { atHelp, nameHelp } from './run.ts'

/** What is asked for once. */
export function addOperations(program: Command, run: Run): void {
  program
    .command('switchover')
    .argument('<name>', 'the deployment')
    .argument('<shard>', 'the shard that shall have another primary')
    .option('--to <node>', 'who shall take over (default: the copy that has most)')
    .option('--at <time>', atHelp)
    .option('--no-wait', 'return once it is asked for')
    .option('--json', 'for programs')
    .option('-y, --yes', 'do not ask')
    .description('let another copy of a shard become its primary, without losing a write')
    .action((name, subject, options) =>
      run(async (context) => (await import('../operation.ts')).switchover(context, name, subject, options)),
    )
  program
    .command('restart')
    .argument('<name>', 'the deployment')
    .argument('[subject]', 'one node, or one shard; without it: all, one engine at a time')
    .option('--at <time>', atHelp)
    .option('--surge', 'one more copy of each shard first, for as long as it lasts')
    .option('--no-wait', 'return once it is asked for')
    .option('--json', 'for programs')
    .option('-y, --yes', 'do not ask')
    .description('restart engines one at a time: replicas first, primaries after a switchover')
    .action((name, subject, options) =>
      run(async (context) => (await import('../operation.ts')).restart(context, name, subject, options)),
    )
  program
    .command('upgrade')
    .argument('<name>', 'the deployment')
    .option('--to <version>', 'a version such as 8 or 8.0.1 (default: the newest that is found)')
    .option('--flavor <flavor>', 'valkey or redis (default: what the spec says)')
    .option('--path <server>', 'a server program, absolute')
    .option('--at <time>', atHelp)
    .option('--surge', 'one more copy of each shard first, for as long as it lasts')
    .option('--no-wait', 'return once it is asked for')
    .option('--json', 'for programs')
    .option('-y, --yes', 'do not ask')
    .description('another engine, one process at a time: replicas first, primaries after a switchover')
    .action((name, options) =>
      run(async (context) => (await import('../operation.ts')).upgrade(context, name, options)),
    )
  program
    .command('replace')
    .argument('<name>', nameHelp)
    .argument('<node>', 'the node that is gone for good, or shall go')
    .option('--at <time>', atHelp)
    .option('--no-wait', 'return once it is asked for')
    .option('--json', 'for programs')
    .option('-y, --yes', 'do not ask')
    .description('another node in the place of one: it gets the data first, then the old one is forgotten by all')
    .action((name, node, options) =>
      run(async (context) => (await import('../operation.ts')).replace(context, name, node, options)),
    )
  program
    .command('rebalance')
    .argument('<name>', nameHelp)
    .option('--by <what>', 'slots, bytes or load: what is shared out (default: slots)')
    .option('--weight <shard=share...>', 'the share of a shard, such as shard-2=0.5 (default: 1 each)')
    .option('--rate <size>', 'no more than so many bytes from a shard in a second, such as 20mb')
    .option('--key-max <size>', 'a slot with a bigger key stays where it is (default: 64mb)')
    .option('--classic', 'slot by slot also where the engines can move many at once')
    .option('--at <time>', atHelp)
    .option('--no-wait', 'return once it is asked for')
    .option('--json', 'for programs')
    .option('-y, --yes', 'do not ask')
    .description('move slots with their keys until every shard has its share')
    .action((name, options) =>
      run(async (context) => (await import('../operation.ts')).rebalance(context, name, options)),
    )
  program
    .command('scale')
    .argument('<name>', 'the deployment')
    .option('--shards <count>', 'how many shards there shall be')
    .option('--replicas <count>', 'how many copies there shall be beside each primary')
    .option('--accept-eviction', 'fewer shards may evict what they have no room for')
    .option('--at <time>', atHelp)
    .option('--no-wait', 'return once it is asked for')
    .option('--json', 'for programs')
    .option('-y, --yes', 'do not ask')
    .description('more or fewer shards, or copies of each, while clients read and write')
    .action((name, options) => run(async (context) => (await import('../scale.ts')).scale(context, name, options)))
  program
    .command('rotate')
    .argument('[name]', nameHelp)
    .option('--user <user...>', 'whose password, such as app (default: all users)')
    .option('--grace <time>', 'how long the old password stays valid', '10m')
    .option('--close-all', 'close also sessions that began while both were valid, whichever they used')
    .option('--at <time>', atHelp)
    .option('--no-wait', 'return once it is asked for')
    .option('--json', 'for programs')
    .option('-y, --yes', 'do not ask')
    .description('another password without a failed command: both valid for a while, then the old one goes')
    .action((name, options) => run(async (context) => (await import('../operation.ts')).rotate(context, name, options)))
}

/** Copies of the data in files. */
export function addBackups(program: Command, run: Run): void {
  program
    .command('backup')
    .argument('[name]', nameHelp)
    .option('--to <directory>', 'where to (default: the place that its spec names, or HOLDFAST_HOME/backups/NAME)')
    .option('--controller', 'no data, but what the controller knows: all deployments, passwords, hosts, sealed')
    .option('--no-wait', 'return once it is asked for')
    .option('--json', 'for programs')
    .description('copy the data of every shard into files, from replicas, and check them by loading them')
    .action((name, options) => run(async (context) => (await import('../backup.ts')).backup(context, name, options)))
  program
    .command('backups')
    .argument('[name]', nameHelp)
    .option('--json', 'for programs')
    .description('which backups there are, the newest first, and whether they are good')
    .action((name, options) => run(async (context) => (await import('../backup.ts')).backups(context, name, options)))
  program
    .command('restore')
    .argument('[name]', 'the deployment; one that does not exist is made as the backup says it was')
    .requiredOption('--from <directory>', 'the backup')
    .option('--controller', 'no data, but what a controller knew, into a home that knows nothing yet')
    .option('--replace <name>', 'the name once more: the data that it holds now is given up')
    .option('--no-wait', 'return once it is asked for')
    .option('--json', 'for programs')
    .option('-y, --yes', 'do not ask')
    .description('start a deployment from a backup')
    .action((name, options) => run(async (context) => (await import('../backup.ts')).restore(context, name, options)))
}

/** What runs, and what is held back. */
export function addHolds(program: Command, run: Run): void {
  program
    .command('operations')
    .argument('[name]', nameHelp)
    .option('--json', 'for programs')
    .description('what was asked for: what runs, what waits, how it ended')
    .action((name, options) =>
      run(async (context) => (await import('../operations.ts')).operations(context, name, options)),
    )
  program
    .command('cancel')
    .argument('<name>', 'the deployment')
    .argument('<id>', 'the operation, as "holdfast operations" shows it')
    .description('end an operation; what it has done stays done')
    .action((name, id) => run(async (context) => (await import('../operations.ts')).cancel(context, name, id)))
  program
    .command('pause')
    .argument('[name]', nameHelp)
    .requiredOption('--because <reason>', 'why: whoever is woken at night reads it')
    .option('--for <time>', 'how long, such as 2h; without it, until "holdfast resume"')
    .option('-y, --yes', 'do not ask')
    .description('look and tell, and do nothing: nothing is healed meanwhile')
    .action((name, options) => run(async (context) => (await import('../pause.ts')).pause(context, name, options)))
  program
    .command('resume')
    .argument('[name]', nameHelp)
    .description('end a pause')
    .action((name) => run(async (context) => (await import('../pause.ts')).resume(context, name)))
  program
    .command('drain')
    .argument('<name>', 'the deployment')
    .argument('<node>', 'the node that shall hold no primary')
    .option('--undo', 'it may hold one again')
    .option('-y, --yes', 'do not ask')
    .description('move the primary away from a node, and keep it away')
    .action((name, node, options) =>
      run(async (context) => (await import('../pause.ts')).drain(context, name, node, options)),
    )
  program
    .command('degrade')
    .argument('<name>', 'the deployment')
    .argument('<shard>', 'the shard that shall take writes which no copy has')
    .option('--because <sentence>', 'why that is right now: it is written down')
    .option('--undo', 'it takes none again, once two copies are in sync')
    .option('-y, --yes', 'do not ask')
    .description('let a durable shard take writes without a copy')
    .action((name, shard, options) =>
      run(async (context) => (await import('../degrade.ts')).degrade(context, name, shard, options)),
    )
}
