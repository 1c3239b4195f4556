/** One engine process of a test: started from plain arguments, hurt and healed by name, gone when the test process is. */
import type { ChildProcess } from 'node:child_process'
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import { RedisClient } from 'redis'
import type { Address } from '../../packages/cache/src/engine/topology.ts'
import type { EngineBinary } from '../../packages/control/src/binary/find.ts'
import { eventually } from './eventually.ts'
import { diesWithUs, killLater } from './living.ts'

export interface EngineNode {
  readonly address: Address
  readonly pid: number
  /** What it has said so far, over all its lives. */
  readonly log: () => string
  /** The reply; an error reply is thrown, and so is none within 2 s. A connection of its own, closed afterwards. */
  readonly command: (...command: string[]) => Promise<unknown>
  /** SIGKILL; done when the process is gone. */
  readonly kill: () => Promise<void>
  /** SIGSTOP: it keeps its connections and answers nothing. */
  readonly stop: () => void
  /** SIGCONT. */
  readonly continue: () => void
  /** Kills it if it lives, and starts it again on the same port with the files it left; done when it answers. */
  readonly restart: () => Promise<void>
}

export interface NodeTerms {
  readonly binary: EngineBinary
  readonly port: number
  readonly dir: string
  /** The whole command line of the engine. */
  readonly args: readonly string[]
  readonly credentials: { readonly username?: string; readonly password?: string }
  /** The certificate that is trusted; undefined where the port is plain. */
  readonly ca?: string | undefined
}

/** Made once: the library builds a class of all its commands for every new set of options. */
const protocol = { RESP: 2 } as const
const newClient = RedisClient.factory(protocol)

export async function startNode(terms: NodeTerms): Promise<EngineNode> {
  const said: string[] = []
  let child = launch(terms, said)
  const command: EngineNode['command'] = (...args) => ask(terms, args)
  const log = (): string => said.join('')
  const ready = async (): Promise<void> => {
    await eventually(
      async () => {
        if (hasEnded(child)) return true
        try {
          return (await command('PING')) === 'PONG'
        } catch (error) {
          // It answers, and is still reading its files; a replica without its primary may say so for long.
          return error instanceof Error && error.message.startsWith('MASTERDOWN')
        }
      },
      { what: `an answer of port ${terms.port}` },
    )
    if (hasEnded(child)) throw new Error(`the engine on port ${terms.port} did not start:\n${log()}`)
  }
  const kill = (): Promise<void> => killed(child)
  await ready().catch(async (error: unknown) => {
    await kill()
    throw error
  })
  return {
    address: { host: '127.0.0.1', port: terms.port },
    get pid() {
      return child.pid ?? 0
    },
    log,
    command,
    kill,
    stop: () => void child.kill('SIGSTOP'),
    continue: () => void child.kill('SIGCONT'),
    async restart() {
      await kill()
      child = launch(terms, said)
      await ready()
    },
  }
}

function launch({ binary, dir, args }: NodeTerms, said: string[]): ChildProcess {
  const [program, ...before] = diesWithUs(binary.server)
  const child = spawn(program, [...before, ...args], {
    cwd: dir,
    env: { ...process.env, ...binary.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  child.once('error', (error) => said.push(`${error.message}\n`))
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => said.push(chunk.toString()))
  killLater(child)
  return child
}

const hasEnded = (child: ChildProcess): boolean =>
  child.pid === undefined || child.exitCode !== null || child.signalCode !== null

async function killed(child: ChildProcess): Promise<void> {
  if (hasEnded(child)) return
  const gone = once(child, 'exit')
  child.kill('SIGKILL')
  await gone
}

async function ask({ port, credentials, ca }: NodeTerms, args: readonly string[]): Promise<unknown> {
  const place = { host: '127.0.0.1', port, reconnectStrategy: false, connectTimeout: 2000 } as const
  const options = {
    ...protocol,
    ...credentials,
    socket: ca === undefined ? place : { ...place, tls: true as const, ca, servername: 'localhost' },
    commandOptions: { timeout: 0 },
    disableClientInfo: true,
  }
  const client = newClient(options)
  client.on('error', () => undefined)
  const timer = new AbortController()
  const tooLate = delay(2000, undefined, { signal: timer.signal }).then(() => {
    throw new Error(`port ${port} did not answer ${args[0]} within 2 s`)
  })
  // Whichever loses the race fails without a listener: the delay by its abort, the command by the end of its connection.
  tooLate.catch(() => undefined)
  const answer = client.connect().then(() => client.sendCommand([...args]))
  answer.catch(() => undefined)
  try {
    return await Promise.race([answer, tooLate])
  } finally {
    timer.abort()
    client.destroy()
  }
}

const openssl = 'openssl'

/** A certificate for 127.0.0.1 and localhost that is its own authority, made with openssl in a few milliseconds. */
export function makeCertificate(dir: string): { readonly certificate: string; readonly key: string } {
  const paths = { certificate: `${dir}/node.crt`, key: `${dir}/node.key` }
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
  const names = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=IP:127.0.0.1,DNS:localhost']
  const files = ['-keyout', paths.key, '-out', paths.certificate, '-days', '2']
  execFileSync(openssl, ['req', '-x509', ...curve, ...names, ...files], { stdio: 'pipe' })
  return paths
}
