/** A controller, and agents that have joined it: each a program with a home and an address of the loopback of its own. */
import type { Status } from '@holdfast/core'
import type { JoinedHost } from '../../packages/control/src/hosts/desk.ts'
import { freePorts } from './engines.ts'
import { eventually } from './eventually.ts'
import type { Running } from './program.ts'
import { Program } from './program.ts'

export interface TestHost {
  readonly name: string
  readonly program: Program
  running: Running
}

const livesForMs = 600_000

export class JoinedHosts {
  readonly controller = new Program()
  /** The first of the ports that deployments may take. */
  readonly basePort: number
  readonly #ports: { readonly door: number; readonly agent: number }
  readonly #hosts = new Map<string, TestHost>()

  private constructor(first: number, forEngines: number) {
    this.basePort = first
    this.#ports = { door: first + forEngines, agent: first + forEngines + 1 }
  }

  /** `addresses` of the hosts, by their names. */
  static async up(addresses: Readonly<Record<string, string>>, forEngines = 12): Promise<JoinedHosts> {
    const them = new JoinedHosts(await freePorts(forEngines + 2), forEngines)
    try {
      const door = String(them.#ports.door)
      const serving = them.controller.start(['serve', '--address', '127.0.0.20', '--join-port', door], {
        withinMs: livesForMs,
      })
      await eventually(() => serving.stderr().includes('panel http'), {
        what: 'the controller serves',
        withinMs: 30_000,
      })
      await Promise.all(Object.entries(addresses).map(([name, address]) => them.#join(name, address)))
      return them
    } catch (error) {
      await them.close()
      throw error
    }
  }

  host(name: string): TestHost {
    const found = this.#hosts.get(name)
    if (found === undefined) throw new Error(`there is no host ${name}`)
    return found
  }

  status(deployment: string): Promise<Status> {
    return this.controller.ask<Status>(`/deployments/${deployment}`)
  }

  async joined(name: string): Promise<JoinedHost | undefined> {
    const { hosts } = await this.controller.ask<{ hosts: JoinedHost[] }>('/hosts')
    return hosts.find((host) => host.name === name)
  }

  /** All that runs there, at once: as when it loses its power. */
  async killAll(name: string): Promise<void> {
    const host = this.host(name)
    for (const pid of host.program.processes()) process.kill(pid, 'SIGKILL')
    await host.running.ended
  }

  /** Its agent, which joined before. */
  async startAgain(name: string, args: readonly string[] = []): Promise<void> {
    const host = this.host(name)
    host.running = host.program.start(['agent', ...args], { withinMs: livesForMs })
    await eventually(() => host.running.stderr().includes(`agent of ${name}`), {
      what: `${name} is back`,
      withinMs: 30_000,
    })
  }

  /** Its agent ends, and comes back at another address; the engines run on. */
  async moveAgent(name: string, address: string): Promise<void> {
    const host = this.host(name)
    host.running.signal('SIGTERM')
    await host.running.ended
    await this.startAgain(name, ['--address', address])
    await eventually(async () => (await this.joined(name))?.address === address, { what: `${name} is at ${address}` })
  }

  async close(): Promise<void> {
    const agents = [...this.#hosts.values()].map(({ program }) => program)
    await Promise.all([this.controller, ...agents].map((one) => one.close()))
  }

  async #join(name: string, address: string): Promise<void> {
    const program = new Program()
    const { stdout } = await this.controller.ok(['token', '--host', name, '--zone', `z-${name}`])
    const at = ['--address', address, '--port', String(this.#ports.agent)]
    const running = program.start(['agent', '--token', '-', ...at], { withinMs: livesForMs })
    this.#hosts.set(name, { name, program, running })
    running.type(stdout)
    await eventually(() => running.stderr().includes(`agent of ${name}`), {
      what: `${name} has joined`,
      withinMs: 30_000,
    })
  }
}
