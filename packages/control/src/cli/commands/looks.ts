import { clients, firewallForms } from '@holdfast/core'
import type { Command } from 'commander'
import type { Run } from './run.ts'
import { nameHelp } from './run.ts'

/** What is, and what was. */
export function addLooks(program: Command, run: Run): void {
  program
    .command('status')
    .argument('[name]', 'the deployment; without it, all of them')
    .option('--json', 'for programs; of one deployment')
    .option('-w, --watch', 'again each second')
    .description('how it is, and why')
    .action((name, options) => run(async (context) => (await import('../status.ts')).status(context, name, options)))
  program
    .command('events')
    .argument('[name]', nameHelp)
    .option('--json', 'for programs: one object a line')
    .option('-n, --limit <count>', 'how many, the last ones', '50')
    .description('what happened, oldest first, and why')
    .action((name, options) => run(async (context) => (await import('../events.ts')).events(context, name, options)))
  program
    .command('incidents')
    .argument('[name]', nameHelp)
    .option('--since <time>', 'how far to look back', '30d')
    .option('--json', 'for programs')
    .description('what kept applications from writing, for how long, and why; the newest first')
    .action((name, options) =>
      run(async (context) => (await import('../incidents.ts')).incidents(context, name, options)),
    )
}

/** How it is spoken to. */
export function addConnections(program: Command, run: Run, rest: readonly string[]): void {
  program
    .command('url')
    .argument('[name]', nameHelp)
    .option('--as <client>', clients.join(', '), 'holdfast')
    .option('--user <user>', 'a user of the spec (default: app)')
    .option('--proxy', 'by the address of the proxy, for a client that knows neither Sentinels nor a Cluster')
    .option('--ca', 'only whom to believe, as PEM: with TLS, each client is given this as a file')
    .option('--show-secret', 'with the password; what is printed then works as it is')
    .description('how an unmodified client connects')
    .action((name, options) => run(async (context) => (await import('../spec.ts')).url(context, name, options)))
  program
    .command('cli')
    .argument('[name]', nameHelp)
    .usage('[name] [-- arguments of redis-cli]')
    .description("the engine's own command line, signed in as the application")
    .addHelpText(
      'after',
      '\nExamples:\n  holdfast cli shop                     type commands\n  holdfast cli shop -- set greeting hello',
    )
    .action((name) => run(async (context) => (await import('../spec.ts')).cli(context, name, rest)))
  program
    .command('firewall')
    .argument('[name]', nameHelp)
    .option('--as <form>', firewallForms.join(', '), 'nftables')
    .option('--clients <network...>', 'from where applications connect, such as 10.20.0.0/16')
    .option('--controllers <address...>', 'where "holdfast serve" runs')
    .option('--joining <address...>', 'machines that are to join as hosts')
    .option('--etcd <address...>', 'where several controllers keep their state')
    .description('the rules that let in whom it needs, and nobody else; prints them, and loads nothing')
    .addHelpText('after', firewallHelp)
    .action((name, options) =>
      run(async (context) => (await import('../firewall.ts')).firewall(context, name, options)),
    )
}

const firewallHelp = `
Examples:
  holdfast firewall shop --clients 10.20.0.0/16 --controllers 10.77.0.11 > shop.nft && nft -f shop.nft
  holdfast firewall shop --clients 10.20.0.0/16 --as security-group`
