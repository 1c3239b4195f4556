import { roles } from '@holdfast/core'
import type { Command } from 'commander'
import type { Run } from './run.ts'

const roleHelp = `${roles.join(', ')}: each may do all that the one before may`
const placeHelp = 'on this deployment alone (default: on all)'

/** Who may ask for what, and who did. */
export function addAccess(program: Command, run: Run): void {
  addUsers(program.command('user').description('who may sign in to the panel, and as what'), run)
  addTokens(program.command('api-token').description('what programs show to the API instead of a password'), run)
  program
    .command('audit')
    .option('--verify', 'whether every record is as it was written')
    .option('-n, --limit <count>', 'how many, the last ones', '50')
    .option('--json', 'for programs: one object a line')
    .description('who asked for what, when and from where, and what was denied; oldest first')
    .action((options) => run(async (context) => (await import('../audit.ts')).audit(context, options)))
  program
    .command('allow-target')
    .argument('[target]', 'an address inside, or a range of them: 10.0.0.7, 10.0.0.0/24')
    .option('--list', 'which are allowed')
    .option('--remove', 'allow it no more')
    .description('let callers of the API adopt what has an address inside; this command line may anyhow')
    .action((target, options) =>
      run(async (context) => (await import('../allow-target.ts')).allowTarget(context, target, options)),
    )
}

function addUsers(user: Command, run: Run): void {
  user
    .command('add')
    .argument('<name>', 'how he signs in')
    .requiredOption('--role <role>', roleHelp)
    .option('--deployment <name>', placeHelp)
    .description('make a user; his password is shown once')
    .action((name, options) => run(async (context) => (await import('../user.ts')).addUser(context, name, options)))
  user
    .command('list')
    .option('--json', 'for programs')
    .description('all users, and what they may do')
    .action((options) => run(async (context) => (await import('../user.ts')).listUsers(context, options)))
  user
    .command('role')
    .argument('<name>', 'the user')
    .requiredOption('--role <role>', `${roleHelp}; none takes it away`)
    .option('--deployment <name>', placeHelp)
    .description('another role; his sessions end')
    .action((name, options) => run(async (context) => (await import('../user.ts')).setRole(context, name, options)))
  user
    .command('password')
    .argument('<name>', 'the user')
    .description('make a new password; the old one and his sessions end')
    .action((name) => run(async (context) => (await import('../user.ts')).newPassword(context, name)))
  user
    .command('remove')
    .argument('<name>', 'the user')
    .option('-y, --yes', 'do not ask')
    .description('remove a user; his sessions end')
    .action((name, options) => run(async (context) => (await import('../user.ts')).removeUser(context, name, options)))
}

function addTokens(token: Command, run: Run): void {
  token
    .command('create')
    .option('--role <role>', roleHelp)
    .option('--deployment <name>', placeHelp)
    .option('--scope <scope>', 'topology: the feed of topology changes, and nothing else')
    .option('--name <name>', 'what it is for, as lists and events show it')
    .option('--expires <time>', 'how long it is good for, 1m to 366d', '30d')
    .description('make a token; it is shown once')
    .action((options) => run(async (context) => (await import('../api-token.ts')).createToken(context, options)))
  token
    .command('list')
    .option('--json', 'for programs')
    .description('all tokens, without their secrets')
    .action((options) => run(async (context) => (await import('../api-token.ts')).listTokens(context, options)))
  token
    .command('revoke')
    .argument('<id>', 'as "holdfast api-token list" shows it')
    .description('end a token, at once')
    .action((id) => run(async (context) => (await import('../api-token.ts')).revokeToken(context, id)))
}
