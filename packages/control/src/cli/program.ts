import { readFileSync } from 'node:fs'
import { Command } from 'commander'
import { addAccess } from './commands/access.ts'
import { addDrills } from './commands/drills.ts'
import { addHosts } from './commands/hosts.ts'
import { addLife, addServices } from './commands/life.ts'
import { addConnections, addLooks } from './commands/looks.ts'
import { addBackups, addHolds, addOperations } from './commands/operations.ts'
import type { Run } from './commands/run.ts'
import { addScaling } from './commands/scaling.ts'
import { addWishes } from './commands/wishes.ts'
import { openContext } from './context.ts'
import { explain } from './explain.ts'

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
  addLife(program, run)
  addLooks(program, run)
  addWishes(program, run)
  addScaling(program, run)
  addConnections(program, run, rest)
  addOperations(program, run)
  addBackups(program, run)
  addHolds(program, run)
  addDrills(program, run, rest)
  addHosts(program, run)
  addServices(program, run)
  addAccess(program, run)
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
  HOLDFAST_PASSPHRASE_FILE       a file with the passphrase that locks its key (default: none)

Exit codes: 0 done, 2 correct the input, 3 refused as unsafe, 4 somebody does not answer, 5 the engine,
6 not ready in time, 7 this machine (ports, disk, home), 8 sign in, 9 a drill's promise was broken,
10 an operation stopped before its end, 11 a backup cannot be used, 70 a bug (docs/errors.md)`

function versionOf(): string {
  const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
    version: string
  }
  return version
}
