import { errorTable, HoldfastError } from '@holdfast/core'
import { Command, CommanderError } from 'commander'
import type { Context } from './context.ts'
import { openContext } from './context.ts'
import { down } from './down.ts'
import { events } from './events.ts'
import { password } from './password.ts'
import { apply, cli, plan, url } from './spec.ts'
import { status } from './status.ts'
import { serve, up } from './up.ts'

/** A bug is not an error to handle: the exit code that says so. */
const bugExit = 70

/** Runs one command line; answers the exit code, which comes from the error table. */
export async function runProgram(args: readonly string[]): Promise<number> {
  let code = 0
  const program = buildProgram(async (work) => {
    code = (await work(openContext())) ?? 0
  })
  try {
    await program.parseAsync([...args], { from: 'user' })
    return code
  } catch (error) {
    return explain(error)
  }
}

type Run = (work: (context: Context) => Promise<number | void>) => Promise<void>

function buildProgram(run: Run): Command {
  const program = new Command('holdfast')
    .description('Keeps a Valkey or Redis cache up: brings up clusters, heals them, and explains itself.')
    .exitOverride()
    .enablePositionalOptions()
    .showHelpAfterError('(holdfast --help lists all commands)')
  program
    .command('up')
    .argument('[spec]', 'a spec file; without one, the deployment "shop" of 3 primaries and 3 replicas')
    .option('-d, --detach', 'keep it running in the background')
    .option('--port <port>', 'where the panel listens')
    .option('--accept-data-loss', 'start a shard empty that has lost every copy')
    .description('bring a deployment up and keep it up')
    .action((spec, options) => run((context) => up(context, spec, options)))
  program
    .command('down')
    .argument('[name]')
    .option('--purge', 'delete the data too')
    .option('-y, --yes', 'do not ask')
    .description('stop a deployment; its data is kept')
    .action((name, options) => run((context) => down(context, name, options)))
  program
    .command('status')
    .argument('[name]')
    .option('--json', 'for programs')
    .option('-w, --watch', 'again each second')
    .description('how it is, and why')
    .action((name, options) => run((context) => status(context, name, options)))
  program
    .command('events')
    .argument('[name]')
    .option('--json', 'one JSON object a line')
    .option('-n, --limit <count>', 'how many', '50')
    .description('what happened')
    .action((name, options) => run((context) => events(context, name, options)))
  program
    .command('plan')
    .argument('<spec>')
    .option('--config', "show every engine's config, passwords masked")
    .option('--json', 'for programs')
    .description('what apply would do; changes nothing')
    .action((spec, options) => run((context) => plan(context, spec, options)))
  program
    .command('apply')
    .argument('<spec>')
    .option('-y, --yes', 'do not ask')
    .option('--wait', 'until it is as specified')
    .description('change what is wanted')
    .action((spec, options) => run((context) => apply(context, spec, options)))
  program
    .command('url')
    .argument('[name]')
    .option('--as <client>', 'holdfast, redis, ioredis, node-redis, redis-py, jedis, go-redis or redis-cli', 'holdfast')
    .option('--show-secret', 'with the password')
    .description('how to connect')
    .action((name, options) => run((context) => url(context, name, options)))
  program
    .command('cli')
    .argument('[name]')
    .argument('[args...]', 'after --')
    .description("the engine's own command line, signed in")
    .passThroughOptions()
    .action((name, args) => run((context) => cli(context, name, args)))
  program
    .command('serve')
    .option('--port <port>', 'where the panel listens')
    .description('keep all deployments of this home up, in the foreground')
    .action((options) => run((context) => serve(context, options)))
  program
    .command('password')
    .description('make a new password for the panel')
    .action(() => run((context) => password(context)))
  return program
}

/** What happened, to what, and what to do, on stderr. */
function explain(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : errorTable.USAGE.exit
  if (error instanceof HoldfastError) {
    process.stderr.write(`${error.message}\n(${error.code})\n`)
    return errorTable[error.code].exit
  }
  process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\nThis is a bug in Holdfast.\n`)
  return bugExit
}
