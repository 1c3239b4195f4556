import { clientKinds } from '@holdfast/core'
import type { Command } from 'commander'
import type { Run } from './run.ts'

/** What is broken on purpose. */
export function addDrills(program: Command, run: Run, rest: readonly string[]): void {
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
      run(async (context) => (await import('../drill-command.ts')).drillCommand(context, name, fault, options, rest)),
    )
}

const drillHelp = `
Examples:
  holdfast drill shop kill-primary                      0 if every promise was kept, 9 if one was broken
  holdfast drill shop freeze --for 20s --report freeze.html
  holdfast drill shop kill-primary,freeze --ci --every 30s -- npm test

Ctrl-C heals at once and still reads back and reports; a second one leaves, and the fault ends by its own timer.`
