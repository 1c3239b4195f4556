/**
 * The member of etcd that a host carries for its controllers, kept by its agent as engines are: it runs in a session of
 * its own and outlives the agent, is started again when it dies, and is never started empty as who it was before.
 */
import { spawn } from 'node:child_process'
import { closeSync, existsSync, mkdirSync, openSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { planEtcdMember } from '@holdfast/core'
import { boundLog } from '../../bounded-log.ts'
import type { Clock } from '../../clock.ts'
import type { Log } from '../../log.ts'
import type { ProcessId } from '../../proc.ts'
import { isRunning, processesIn } from '../../proc.ts'
import { writeAtomically } from '../../write-file.ts'
import { EtcdGateway } from './gateway.ts'

const turnEveryMs = 1000
/** Started again and again it must not eat the machine. */
const startAgainMs = { first: 500, last: 30_000 } as const
/** Half of what etcd does by itself: a machine that is gone with the leader of etcd is missed within five seconds. */
const timing = { 'heartbeat-interval': '100', 'election-timeout': '500' } as const

/** Where one member is. */
export interface EtcdSeat {
  readonly name: string
  readonly address: string
  readonly clientPort: number
  readonly peerPort: number
}

export interface EtcdMemberOptions {
  /** The agent's own, outside the data directories of engines. */
  readonly directory: string
  readonly name: string
  readonly seats: readonly EtcdSeat[]
  /** Whether there is no such etcd yet: said once, when all of its members are made. */
  readonly isBirth: boolean
  /** By which it is known to the others and to controllers, PEM. */
  readonly credentials: () => Readonly<Record<'authority' | 'certificate' | 'key', string>>
  /** etcd itself, and what it needs in its environment. */
  readonly program: () => Promise<{ readonly program: string; readonly env: Readonly<Record<string, string>> }>
  readonly clock: Clock
  readonly log: Log
}

export class EtcdMember {
  readonly #options: EtcdMemberOptions
  readonly #over = new AbortController()
  #process: ProcessId | undefined
  #startedAt = Number.NEGATIVE_INFINITY
  #restMs: number = startAgainMs.first
  #told = ''

  constructor(options: EtcdMemberOptions) {
    this.#options = options
    mkdirSync(options.directory, { recursive: true, mode: 0o700 })
    this.renew()
  }

  /** The files of the certificate, which etcd reads anew for each connection. */
  renew(): void {
    const { authority, certificate, key } = this.#options.credentials()
    for (const [name, text] of Object.entries({ authority, certificate, key })) {
      writeAtomically(this.#file(`${name}.pem`), text)
    }
  }

  /** Keeps it until closed. */
  async run(): Promise<void> {
    const { clock, log } = this.#options
    while (!this.#over.signal.aborted) {
      await this.#turn().catch((error: unknown) => log.warn({ err: error }, 'etcd not kept'))
      await clock.sleep(turnEveryMs, this.#over.signal)
    }
  }

  /** Lets go of it; it runs on. */
  close(): void {
    this.#over.abort()
  }

  async #turn(): Promise<void> {
    const { log, clock, isBirth } = this.#options
    boundLog(this.#file('etcd.log'))
    const seen = { isRunning: this.#isRunning(), hasData: existsSync(this.#file('data/member')) }
    const others = seen.isRunning || seen.hasData ? undefined : this.#others()
    const known = (await others?.members().catch(() => null)) ?? null
    const plan = planEtcdMember({ ...seen, isBirth, peerUrl: peerUrl(this.#seat), known })
    if (plan.because !== this.#told) log.info({ because: plan.because }, 'etcd')
    this.#told = plan.because
    if (plan.kind === 'nothing') {
      if (clock.now() - this.#startedAt > startAgainMs.last) this.#restMs = startAgainMs.first
      return
    }
    if (plan.kind === 'add') await others?.addMember(peerUrl(this.#seat))
    if (plan.kind === 'remove') await others?.removeMember(plan.id)
    if (plan.kind === 'start') await this.#start(plan.into)
  }

  get #seat(): EtcdSeat {
    const { seats, name } = this.#options
    const mine = seats.find((seat) => seat.name === name)
    if (mine === undefined) throw new Error(`${name} is no member of etcd`)
    return mine
  }

  #others(): EtcdGateway {
    const { seats, name, credentials } = this.#options
    return new EtcdGateway({
      endpoints: seats.filter((seat) => seat.name !== name).map(clientUrl),
      tls: credentials(),
    })
  }

  #isRunning(): boolean {
    if (this.#process !== undefined && isRunning(this.#process)) return true
    const [found] = processesIn(this.#options.directory)
    this.#process = found !== undefined && isRunning(found) ? found : undefined
    return this.#process !== undefined
  }

  async #start(into: 'new' | 'existing'): Promise<void> {
    const { clock, program, directory } = this.#options
    if (clock.now() - this.#startedAt < this.#restMs) return
    this.#restMs = Math.min(this.#restMs * 2, startAgainMs.last)
    this.#startedAt = clock.now()
    const found = await program()
    const log = openSync(this.#file('etcd.log'), 'a', 0o600)
    try {
      const child = spawn(found.program, this.#arguments(into), {
        cwd: directory,
        detached: true,
        stdio: ['ignore', log, log],
        env: { ...process.env, ...found.env },
      })
      child.once('error', (error) => writeSync(log, `${error.message}\n`))
      child.unref()
    } finally {
      closeSync(log)
    }
  }

  #arguments(into: 'new' | 'existing'): string[] {
    const { name, seats } = this.#options
    const files = { cert: 'certificate.pem', key: 'key.pem', 'trusted-ca': 'authority.pem' }
    const tls = Object.entries(files).flatMap(([kind, file]) => [
      [`${kind}-file`, this.#file(file)],
      [`peer-${kind}-file`, this.#file(file)],
    ])
    const settings: Readonly<Record<string, string>> = {
      name,
      'data-dir': this.#file('data'),
      'listen-client-urls': clientUrl(this.#seat),
      'advertise-client-urls': clientUrl(this.#seat),
      'listen-peer-urls': peerUrl(this.#seat),
      'initial-advertise-peer-urls': peerUrl(this.#seat),
      'initial-cluster': seats.map((seat) => `${seat.name}=${peerUrl(seat)}`).join(','),
      'initial-cluster-token': 'holdfast',
      'initial-cluster-state': into,
      'auto-compaction-retention': '1h',
      'client-cert-auth': 'true',
      'peer-client-cert-auth': 'true',
      // A peer is told by its certificate: a machine has more addresses than the one that others know it by.
      'experimental-peer-skip-client-san-verification': 'true',
      ...timing,
      ...(Object.fromEntries(tls) as Record<string, string>),
    }
    return Object.entries(settings).map(([flag, value]) => `--${flag}=${value}`)
  }

  #file(name: string): string {
    return join(this.#options.directory, name)
  }
}

/** Where controllers reach it. */
export const clientUrl = ({ address, clientPort }: EtcdSeat): string => `https://${inUrl(address)}:${clientPort}`

const peerUrl = ({ address, peerPort }: EtcdSeat): string => `https://${inUrl(address)}:${peerPort}`

const inUrl = (address: string): string => (address.includes(':') ? `[${address}]` : address)
