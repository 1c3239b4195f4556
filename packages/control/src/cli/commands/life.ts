import type { Command } from 'commander'
import { addInstall } from './install.ts'
import type { Run } from './run.ts'
import { nameHelp, panelPortHelp, specHelp } from './run.ts'

/** From nothing to a deployment, and back. */
export function addLife(program: Command, run: Run): void {
  program
    .command('up')
    .argument('[spec]', `${specHelp}, or the name of a deployment that exists; without it: "shop"`)
    .option('--hosts <names>', 'with a new spec: on these hosts that have joined, by commas')
    .option('-d, --detach', 'return once it is ready, and keep it up in the background')
    .option('--port <port>', panelPortHelp)
    .option('--accept-data-loss', 'start a shard empty that has lost every copy')
    .description('bring a deployment up and keep it up')
    .addHelpText('after', upHelp)
    .action((spec, options) => run(async (context) => (await import('../up.ts')).up(context, spec, options)))
  program
    .command('down')
    .argument('[name]', nameHelp)
    .option('--purge', 'delete its data too, and forget it; asks for its name')
    .option('-y, --yes', 'do not ask')
    .description('stop a deployment; its data is kept')
    .action((name, options) => run(async (context) => (await import('../down.ts')).down(context, name, options)))
  program
    .command('adopt')
    .argument('<url>', 'where it is: redis://HOST:PORT, holdfast+sentinel://HOST:PORT/NAME; - reads it from stdin')
    .option('--name <name>', 'how it shall be called here')
    .option('--user <user>', 'whom to ask as')
    .description('watch a deployment that somebody else runs; nothing is ever done to it')
    .addHelpText('after', adoptHelp)
    .action((at, options) => run(async (context) => (await import('../adopt.ts')).adopt(context, at, options)))
}

/** What goes on until it is ended, and the password of its panel. */
export function addServices(program: Command, run: Run): void {
  program
    .command('demo')
    .option('--port <port>', panelPortHelp)
    .description('a shop under load, and keys to break what it stands on; what "npm start" shows')
    .action((options) => run(async (context) => (await import('../demo.ts')).demo(context, options)))
  const serve = program
    .command('serve')
    .option('--port <port>', panelPortHelp)
    .option('--store <url>', 'the etcd that this home shares with other controllers: etcds://HOST:2379,HOST:2379')
    .option(
      '--store-ca <file>',
      'the authority that its certificates are from, PEM (default: the authorities of this system)',
    )
    .option('--store-cert <file>', 'a certificate that it lets in, PEM')
    .option('--store-key <file>', 'the private key of that certificate')
    .option('--store-password-file <file>', 'the password of the user in the address')
    .option('--store-plain', 'speak to another machine without TLS, where nobody else is in that network')
    .option('--address <address>', 'the IP address by which other machines reach this one: they may join then')
    .option('--join-port <port>', 'where they do (default: 7501)')
    .option('--listen <address:port>', 'the panel and the API also here, with TLS (port: 7500); "off": here no more')
    .option('--listen-name <names...>', 'what it is called there, beside its address')
    .option('--listen-cert <file>', "a certificate to show there, PEM (default: one of this home's own authority)")
    .option('--listen-key <file>', 'its private key')
    .description('keep up all deployments of this home; engines outlive it')
    .addHelpText('after', serveHelp)
    .action((options) => run(async (context) => (await import('../serve.ts')).serve(context, options)))
  addInstall(serve, 'serve', run)
  program
    .command('password')
    .description('make a new password for admin, the first user of the panel')
    .action(() => run(async (context) => (await import('../password.ts')).password(context)))
  program
    .command('key')
    .option('--passphrase-file <file>', 'from now on it is under the passphrase in this file')
    .option('--plain', 'from now on it opens to whoever can read it')
    .description('how the key is kept that seals the passwords of this home, or another way')
    .action((options) => run(async (context) => (await import('../key.ts')).key(context, options)))
}

const upHelp = `
In the foreground it keeps the deployment up until Ctrl-C, which stops it; a second Ctrl-C leaves the engines running.
Where a controller runs already, that one gets the work, and the command returns once all is ready.`

const serveHelp = `
Once --store was given the home remembers it, and so does every command. One of the controllers acts on a deployment, the
others look on and answer questions; docs/controllers.md says how they come to be.`

const adoptHelp = `
The password is read from HOLDFAST_ADOPT_PASSWORD, or asked for. In an address on the command line it is seen by
everybody who may list the processes of this machine; in one on stdin it is not.

Examples:
  holdfast adopt redis://10.0.0.7:6379 --user watcher
  holdfast adopt holdfast+sentinel://10.0.0.7:26379,10.0.0.8:26379/mymaster --name basket
  holdfast adopt - --name basket < address.txt`
