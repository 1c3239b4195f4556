import { readFileSync } from 'node:fs'
import { clientKinds, clients, errorTable, HoldfastError } from '@holdfast/core'
import { Command, CommanderError } from 'commander'
import { ControllerBug } from './api.ts'
import type { Context } from './context.ts'
import { openContext } from './context.ts'
import { events } from './events.ts'
import { incidents } from './incidents.ts'
import { cancel, operations } from './operations.ts'
import { apply, cli, plan, url } from './spec.ts'
import { status } from './status.ts'

/** A bug is not an error to handle: the exit code that says so. */
const bugExit = 70

/** Runs one command line; answers the exit code, which comes from the error table. */
export async function runProgram(args: readonly string[]): Promise<number> {
  surviveClosedPipes()
  const [own, rest] = splitAtDashes(args)
  let code = 0
  const program = buildProgram(rest, async (work) => {
    code = (await work(openContext())) ?? 0
  })
  try {
    await program.parseAsync([...own], { from: 'user' })
    return code
  } catch (error) {
    return explain(error, own.includes('--json'))
  }
}

/**
 * Who reads us may end first, as `head` does. That is no error of ours: what is left to say is not said, and the work
 * goes on to its end.
 */
function surviveClosedPipes(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') throw error
    })
  }
}

/** What follows `--` is for another program, and whatever it looks like, it is not for us to read. */
function splitAtDashes(args: readonly string[]): [own: readonly string[], rest: readonly string[]] {
  const at = args.indexOf('--')
  return at < 0 ? [args, []] : [args.slice(0, at), args.slice(at + 1)]
}

type Run = (work: (context: Context) => Promise<number | void>) => Promise<void>

const specHelp = 'a YAML file that says what is wanted (docs/spec.md)'
const nameHelp = 'the deployment; may be left out where there is only one'

/**
 * What may become a controller is imported when it is asked for: its server and its store take longer to load than a
 * question to a running one takes to be answered.
 */
function buildProgram(rest: readonly string[], run: Run): Command {
  const program = new Command('holdfast')
    .description('Keeps a Valkey or Redis cache up: brings up clusters, heals them, and explains itself.')
    .version(versionOf(), '-V, --version')
    .helpCommand('help [command]', 'how a command is used')
    .exitOverride()
    .enablePositionalOptions()
    .showHelpAfterError('("holdfast --help" lists all commands)')
    .addHelpText('after', programHelp)
  program
    .command('up')
    .argument('[spec]', `${specHelp}, or the name of a deployment that exists; without it: "shop"`)
    .option('-d, --detach', 'return once it is ready, and keep it up in the background')
    .option('--port <port>', 'where the panel listens (default: 7500, or any free port where that is in use)')
    .option('--accept-data-loss', 'start a shard empty that has lost every copy')
    .description('bring a deployment up and keep it up')
    .addHelpText('after', upHelp)
    .action((spec, options) => run(async (context) => (await import('./up.ts')).up(context, spec, options)))
  program
    .command('down')
    .argument('[name]', nameHelp)
    .option('--purge', 'delete its data too, and forget it; asks for its name')
    .option('-y, --yes', 'do not ask')
    .description('stop a deployment; its data is kept')
    .action((name, options) => run(async (context) => (await import('./down.ts')).down(context, name, options)))
  program
    .command('adopt')
    .argument('<url>', 'where it is: redis://HOST:PORT, holdfast+sentinel://HOST:PORT/NAME; - reads it from stdin')
    .option('--name <name>', 'how it shall be called here')
    .option('--user <user>', 'whom to ask as')
    .description('watch a deployment that somebody else runs; nothing is ever done to it')
    .addHelpText('after', adoptHelp)
    .action((at, options) => run(async (context) => (await import('./adopt.ts')).adopt(context, at, options)))
  program
    .command('status')
    .argument('[name]', 'the deployment; without it, all of them')
    .option('--json', 'for programs; of one deployment')
    .option('-w, --watch', 'again each second')
    .description('how it is, and why')
    .action((name, options) => run((context) => status(context, name, options)))
  program
    .command('events')
    .argument('[name]', nameHelp)
    .option('--json', 'for programs: one object a line')
    .option('-n, --limit <count>', 'how many, the last ones', '50')
    .description('what happened, oldest first, and why')
    .action((name, options) => run((context) => events(context, name, options)))
  program
    .command('incidents')
    .argument('[name]', nameHelp)
    .option('--since <time>', 'how far to look back', '30d')
    .option('--json', 'for programs')
    .description('what kept applications from writing, for how long, and why; the newest first')
    .action((name, options) => run((context) => incidents(context, name, options)))
  program
    .command('plan')
    .argument('<spec>', specHelp)
    .option('--config', "show every engine's config too, passwords masked")
    .option('--json', 'for programs')
    .description('what apply would do; changes nothing')
    .action((spec, options) => run((context) => plan(context, spec, options)))
  program
    .command('apply')
    .argument('<spec>', specHelp)
    .option('-y, --yes', 'do not ask')
    .option('--wait', 'return only when it is as specified')
    .option('--accept-eviction', 'less memory may cost a cache the keys that do not fit')
    .description('change what is wanted; the controller does the rest')
    .action((spec, options) => run((context) => apply(context, spec, options)))
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
    .action((options) => run(async (context) => (await import('./advise.ts')).advise(context, options)))
  program
    .command('url')
    .argument('[name]', nameHelp)
    .option('--as <client>', clients.join(', '), 'holdfast')
    .option('--user <user>', 'a user of the spec (default: app)')
    .option('--proxy', 'by the address of the proxy, for a client that knows neither Sentinels nor a Cluster')
    .option('--show-secret', 'with the password; what is printed then works as it is')
    .description('how an unmodified client connects')
    .action((name, options) => run((context) => url(context, name, options)))
  program
    .command('cli')
    .argument('[name]', nameHelp)
    .usage('[name] [-- arguments of redis-cli]')
    .description("the engine's own command line, signed in as the application")
    .addHelpText(
      'after',
      '\nExamples:\n  holdfast cli shop                     type commands\n  holdfast cli shop -- set greeting hello',
    )
    .action((name) => run((context) => cli(context, name, rest)))
  program
    .command('switchover')
    .argument('<name>', 'the deployment')
    .argument('<shard>', 'the shard that shall have another primary')
    .option('--to <node>', 'who shall take over (default: the copy that has most)')
    .option('--at <time>', 'not before: 2026-12-01 02:00Z, 02:00 (UTC), +2h, or window')
    .option('--no-wait', 'return once it is asked for')
    .option('--json', 'for programs')
    .option('-y, --yes', 'do not ask')
    .description('let another copy of a shard become its primary, without losing a write')
    .action((name, subject, options) =>
      run(async (context) => (await import('./operation.ts')).switchover(context, name, subject, options)),
    )
  program
    .command('restart')
    .argument('<name>', 'the deployment')
    .argument('[subject]', 'one node, or one shard; without it: all, one engine at a time')
    .option('--at <time>', 'not before: 2026-12-01 02:00Z, 02:00 (UTC), +2h, or window')
    .option('--surge', 'one more copy of each shard first, for as long as it lasts')
    .option('--no-wait', 'return once it is asked for')
    .option('--json', 'for programs')
    .option('-y, --yes', 'do not ask')
    .description('restart engines one at a time: replicas first, primaries after a switchover')
    .action((name, subject, options) =>
      run(async (context) => (await import('./operation.ts')).restart(context, name, subject, options)),
    )
  program
    .command('upgrade')
    .argument('<name>', 'the deployment')
    .option('--to <version>', 'a version such as 8 or 8.0.1 (default: the newest that is found)')
    .option('--flavor <flavor>', 'valkey or redis (default: what the spec says)')
    .option('--path <server>', 'a server program, absolute')
    .option('--surge', 'one more copy of each shard first, for as long as it lasts')
    .option('--no-wait', 'return once it is asked for')
    .option('--json', 'for programs')
    .option('-y, --yes', 'do not ask')
    .description('another engine, one process at a time: replicas first, primaries after a switchover')
    .action((name, options) => run(async (context) => (await import('./operation.ts')).upgrade(context, name, options)))
  program
    .command('replace')
    .argument('<name>', nameHelp)
    .argument('<node>', 'the node that is gone for good, or shall go')
    .option('--at <time>', 'not before: 2026-12-01 02:00Z, 02:00 (UTC), +2h, or window')
    .option('--no-wait', 'return once it is asked for')
    .option('--json', 'for programs')
    .option('-y, --yes', 'do not ask')
    .description('another node in the place of one: it gets the data first, then the old one is forgotten by all')
    .action((name, node, options) =>
      run(async (context) => (await import('./operation.ts')).replace(context, name, node, options)),
    )
  program
    .command('rotate')
    .argument('[name]', nameHelp)
    .option('--user <user...>', 'whose password, such as app (default: all users)')
    .option('--grace <time>', 'how long the old password stays valid', '10m')
    .option('--close-all', 'close also sessions that began while both were valid, whichever they used')
    .option('--at <time>', 'not before: 2026-12-01 02:00Z, 02:00 (UTC), +2h, or window')
    .option('--no-wait', 'return once it is asked for')
    .option('--json', 'for programs')
    .option('-y, --yes', 'do not ask')
    .description('another password without a failed command: both valid for a while, then the old one goes')
    .action((name, options) => run(async (context) => (await import('./operation.ts')).rotate(context, name, options)))
  program
    .command('backup')
    .argument('[name]', nameHelp)
    .option('--to <directory>', 'where to (default: the place that its spec names, or HOLDFAST_HOME/backups/NAME)')
    .option('--no-wait', 'return once it is asked for')
    .option('--json', 'for programs')
    .description('copy the data of every shard into files, from replicas, and check them by loading them')
    .action((name, options) => run(async (context) => (await import('./backup.ts')).backup(context, name, options)))
  program
    .command('backups')
    .argument('[name]', nameHelp)
    .option('--json', 'for programs')
    .description('which backups there are, the newest first, and whether they are good')
    .action((name, options) => run(async (context) => (await import('./backup.ts')).backups(context, name, options)))
  program
    .command('restore')
    .argument('<name>', 'the deployment; one that does not exist is made as the backup says it was')
    .requiredOption('--from <directory>', 'the backup')
    .option('--replace <name>', 'the name once more: the data that it holds now is given up')
    .option('--no-wait', 'return once it is asked for')
    .option('--json', 'for programs')
    .option('-y, --yes', 'do not ask')
    .description('start a deployment from a backup')
    .action((name, options) => run(async (context) => (await import('./backup.ts')).restore(context, name, options)))
  program
    .command('operations')
    .argument('[name]', nameHelp)
    .option('--json', 'for programs')
    .description('what was asked for: what runs, what waits, how it ended')
    .action((name, options) => run((context) => operations(context, name, options)))
  program
    .command('cancel')
    .argument('<name>', 'the deployment')
    .argument('<id>', 'the operation, as "holdfast operations" shows it')
    .description('end an operation; what it has done stays done')
    .action((name, id) => run((context) => cancel(context, name, id)))
  program
    .command('pause')
    .argument('[name]', nameHelp)
    .requiredOption('--because <reason>', 'why: whoever is woken at night reads it')
    .option('--for <time>', 'how long, such as 2h; without it, until "holdfast resume"')
    .option('-y, --yes', 'do not ask')
    .description('look and tell, and do nothing: nothing is healed meanwhile')
    .action((name, options) => run(async (context) => (await import('./pause.ts')).pause(context, name, options)))
  program
    .command('resume')
    .argument('[name]', nameHelp)
    .description('end a pause')
    .action((name) => run(async (context) => (await import('./pause.ts')).resume(context, name)))
  program
    .command('drain')
    .argument('<name>', 'the deployment')
    .argument('<node>', 'the node that shall hold no primary')
    .option('--undo', 'it may hold one again')
    .option('-y, --yes', 'do not ask')
    .description('move the primary away from a node, and keep it away')
    .action((name, node, options) =>
      run(async (context) => (await import('./pause.ts')).drain(context, name, node, options)),
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
      run(async (context) => (await import('./degrade.ts')).degrade(context, name, shard, options)),
    )
  program
    .command('drill')
    .argument('[name]', 'the deployment')
    .argument('[fault]', 'what shall happen to it; --list explains each')
    .usage('NAME FAULT [options] | NAME --stop | --list | NAME FAULT[,FAULT…] --ci [options] -- COMMAND [ARGUMENTS]')
    .option('--list', 'all faults: what each does, how it heals, and what it may cost')
    .option('--stop', 'end the faults that last')
    .option('--for <time>', 'how long it shall last, such as 20s')
    .option('--node <node>', 'on whom it shall fall')
    .option('--clients <kinds>', `who writes meanwhile: ${clientKinds.join(',')} (default: all of them)`)
    .option('--report <file>', 'the report as one HTML page')
    .option('--json', 'the report for programs')
    .option(
      '--ci',
      'take the faults in turn while a command runs, such as your tests; "all-safe" takes every harmless one',
    )
    .option('--every <time>', 'with --ci: from one fault to the next', '20s')
    .option('--yes-on-production <name>', 'the name once more: allows a deployment without "drills: yes"')
    .option('-y, --yes', 'do not ask')
    .description('break something on purpose, and measure what it costs')
    .addHelpText('after', drillHelp)
    .action((name, fault, options) =>
      run(async (context) => (await import('./drill-command.ts')).drillCommand(context, name, fault, options, rest)),
    )
  program
    .command('demo')
    .option('--port <port>', 'where the panel listens (default: 7500, or any free port where that is in use)')
    .description('a shop under load, and keys to break what it stands on; what "npm start" shows')
    .action((options) => run(async (context) => (await import('./demo.ts')).demo(context, options)))
  program
    .command('serve')
    .option('--port <port>', 'where the panel listens (default: 7500, or any free port where that is in use)')
    .description('keep up all deployments of this home; engines outlive it')
    .action((options) => run(async (context) => (await import('./up.ts')).serve(context, options)))
  program
    .command('password')
    .description('make a new password for the panel')
    .action(() => run(async (context) => (await import('./password.ts')).password(context)))
  program.hook('preAction', (_, command) => {
    if (rest.length > 0 && !['cli', 'drill'].includes(command.name()))
      command.error(`error: nothing may follow "--" here: ${rest[0]}`)
  })
  return program
}

const programHelp = `
Examples:
  holdfast demo                  see what it is for: a shop under load, and keys to break what it stands on
  holdfast up                    bring up "shop" (3 primaries, 3 replicas); Ctrl-C stops it
  holdfast up shop.yaml -d       the same from a spec, kept up in the background
  holdfast status                how it is, and why
  holdfast events -n 20          what was done lately, and why
  holdfast cli shop -- get a     one command to the cluster
  holdfast down shop             stop it; its data is kept

Environment:
  HOLDFAST_HOME                  where everything is kept (default: ~/.holdfast)

Exit codes: 0 done, 2 correct the input, 3 refused as unsafe, 4 somebody does not answer, 5 the engine,
6 not ready in time, 7 this machine (ports, disk, home), 8 sign in, 9 a drill's promise was broken,
10 an operation stopped before its end, 11 a backup cannot be used, 70 a bug (docs/errors.md)`

const adviseHelp = `
Examples:
  holdfast advise                                    asks
  holdfast advise --data 40gb --ops 80000 > shop.yaml
  holdfast advise --from redis://:secret@10.0.0.7:6379 --growth 10%`

const adoptHelp = `
The password is read from HOLDFAST_ADOPT_PASSWORD, or asked for. In an address on the command line it is seen by
everybody who may list the processes of this machine; in one on stdin it is not.

Examples:
  holdfast adopt redis://10.0.0.7:6379 --user watcher
  holdfast adopt holdfast+sentinel://10.0.0.7:26379,10.0.0.8:26379/mymaster --name basket
  holdfast adopt - --name basket < address.txt`

const drillHelp = `
Examples:
  holdfast drill shop kill-primary                      0 if every promise was kept, 9 if one was broken
  holdfast drill shop freeze --for 20s --report freeze.html
  holdfast drill shop kill-primary,freeze --ci --every 30s -- npm test

Ctrl-C heals at once and still reads back and reports; a second one leaves, and the fault ends by its own timer.`

const upHelp = `
In the foreground it keeps the deployment up until Ctrl-C, which stops it; a second Ctrl-C leaves the engines running.
Where a controller runs already, that one gets the work, and the command returns once all is ready.`

/** What happened, to what, and what to do, on stderr; where a program asked for JSON, on stdout for it too. */
function explain(error: unknown, isJson: boolean): number {
  if (error instanceof CommanderError) {
    if (error.exitCode !== 0 && isJson) tellProgram('USAGE', error.message.replace(/^error: /, ''), {})
    return error.exitCode === 0 ? 0 : errorTable.USAGE.exit
  }
  if (error instanceof HoldfastError) {
    if (isJson) tellProgram(error.code, error.message, error.facts)
    process.stderr.write(`${error.message}\n(${error.code})\n`)
    return errorTable[error.code].exit
  }
  const what = error instanceof Error && !(error instanceof ControllerBug) ? error.stack : String(error)
  if (isJson) tellProgram('INTERNAL', String(error), {})
  process.stderr.write(`${what}\nThis is a bug in Holdfast.\n`)
  return bugExit
}

function tellProgram(code: string, message: string, facts: Readonly<Record<string, unknown>>): void {
  process.stdout.write(`${JSON.stringify({ error: { code, message, facts } }, null, 2)}\n`)
}

function versionOf(): string {
  const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
    version: string
  }
  return version
}
