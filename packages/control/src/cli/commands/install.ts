import type { UnitTerms } from '@holdfast/core'
import type { Command } from 'commander'
import type { Run } from './run.ts'

/** `install`, of a part that goes on until it is ended. */
export function addInstall(command: Command, part: UnitTerms['part'], run: Run): void {
  command
    .command('install')
    .option('--user <user>', 'as whom it shall run (default: whoever asks)')
    .description('print a unit of systemd that starts it at boot, and say where it belongs')
    .action((options) => run(async (context) => (await import('../unit.ts')).unit(context, part, options)))
}
