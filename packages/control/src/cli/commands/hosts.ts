import type { Command } from 'commander'
import { addInstall } from './install.ts'
import type { Run } from './run.ts'

/** More machines than one. */
export function addHosts(program: Command, run: Run): void {
  program
    .command('token')
    .requiredOption('--host <name>', 'as which host it joins')
    .option('--zone <zone>', 'what fails together with it, such as a rack or a zone of a cloud')
    .option('--region <region>', 'a label for people')
    .description('a token by which one machine may join, once and within the hour')
    .action((options) => run(async (context) => (await import('../hosts.ts')).token(context, options)))
  const agent = program
    .command('agent')
    .option('--token <token>', 'join by this token first; - reads it from stdin')
    .option('--address <address>', 'the IP address by which the others reach this machine')
    .option('--port <port>', 'where the agent listens (default: 7600)')
    .option('--etcd <hosts>', 'keep a member of etcd for the controllers: a=10.0.0.1,b=10.0.0.2,c=10.0.0.3')
    .option('--etcd-new', 'there is no such etcd yet: said once, while all of its members are made')
    .description('keep the engines of this machine for the controllers of its home; engines outlive it')
    .action((options) => run(async (context) => (await import('../agent.ts')).agent(context, options)))
  addInstall(agent, 'agent', run)
  program
    .command('hosts')
    .argument('[name]', 'one of them: what its machine is, and what about it will hurt engines')
    .option('--json', 'for programs')
    .description('the machines that have joined, and what they carry')
    .action((name, options) => run(async (context) => (await import('../hosts.ts')).hosts(context, name, options)))
  program
    .command('remove-host')
    .argument('<name>', 'as "holdfast hosts" lists it, here or lost for good')
    .option('--yes', 'do not ask')
    .option('--no-wait', 'do not wait until it carries nothing: say it again then')
    .description('a machine belongs to this home no more; what it carries moves to the others first')
    .action((name, options) =>
      run(async (context) => (await import('../remove-host.ts')).removeHost(context, name, options)),
    )
}
