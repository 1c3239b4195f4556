import { mkdirSync } from 'node:fs'
import { isIP } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { HoldfastError } from '@holdfast/core'
import { parseJoinToken } from '../hosts/token.ts'
import { logAt } from '../log-file.ts'
import { joinHome } from '../member/join.ts'
import type { Membership } from '../member/membership.ts'
import { agentPort, readMembership, writeMembership } from '../member/membership.ts'
import { runAgent } from '../member/run.ts'
import { forgetTheStart } from '../small-heap.ts'
import { parseEtcdSeats, readEtcdSeats, writeEtcdSeats } from '../store/etcd/seats.ts'
import type { Context } from './context.ts'
import { Interrupts } from './interrupts.ts'
import { portOf } from './port.ts'

export interface AgentFlags {
  readonly token?: string
  readonly address?: string
  readonly port?: string
  readonly etcd?: string
  readonly etcdNew?: boolean
}

/** `holdfast agent`: joins a home by a token, the first time, and keeps the engines of this machine in its eye. */
export async function agent(context: Context, flags: AgentFlags): Promise<void> {
  const { home } = context
  const before = flags.token === undefined ? readMembership(home) : undefined
  if (before === undefined && flags.token === undefined) {
    throw new HoldfastError(
      'USAGE',
      'this machine has joined no home yet: make a token where the controller runs, "holdfast token --host NAME", and say it here with --token',
    )
  }
  const address = addressOf(flags.address ?? before?.address)
  const port = portOf(flags.port) ?? before?.port ?? agentPort
  const where = { address, port, deployments: join(home.path, 'deployments') }
  const membership = before ?? (await joinNow(context, await tokenIn(flags.token ?? ''), where))
  const running = await runAgent({
    home,
    membership,
    where,
    etcd: etcdOf(home, membership.host, flags),
    log: logAt(home.log, { host: membership.host }),
    progress: context.say,
  })
  context.say(
    `agent of ${membership.host} at ${address}:${port}, for the controllers at ${membership.doors.join(', ')}`,
  )
  forgetTheStart()
  const interrupts = new Interrupts()
  await interrupts.first()
  await running.close()
  interrupts.close()
}

/** Which hosts carry etcd, as it was said now or before. */
function etcdOf(home: Context['home'], host: string, { etcd, etcdNew = false }: AgentFlags) {
  const directory = join(home.agent, 'etcd')
  const seats = etcd === undefined ? readEtcdSeats(directory) : parseEtcdSeats(etcd, host)
  if (seats === undefined && etcdNew)
    throw new HoldfastError('USAGE', '--etcd-new: say with --etcd which hosts carry it')
  if (seats === undefined) return undefined
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  writeEtcdSeats(directory, seats)
  return { seats, isBirth: etcdNew }
}

/** From stdin it is seen by nobody who lists the processes of this machine. */
async function tokenIn(flag: string): Promise<string> {
  if (flag !== '-') return flag
  for await (const line of createInterface({ input: process.stdin })) if (line.trim() !== '') return line
  throw new HoldfastError('USAGE', '--token -: nothing came from stdin')
}

async function joinNow(
  { home, say }: Context,
  token: string,
  where: Parameters<typeof joinHome>[1],
): Promise<Membership> {
  const membership = await joinHome(parseJoinToken(token), where)
  writeMembership(home, membership)
  say(`joined as ${membership.host}`)
  return membership
}

function addressOf(text: string | undefined): string {
  if (text !== undefined && isIP(text) !== 0) return text
  const what = text === undefined ? 'say with --address' : `--address ${text} is none: say`
  throw new HoldfastError('USAGE', `${what} the IP address by which the controller and other hosts reach this machine`)
}
