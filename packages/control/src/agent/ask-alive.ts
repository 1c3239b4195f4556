/** The one question that agents ask one another: whether the other is there. */
import { Agent, request } from 'node:https'
import type { TLSSocket } from 'node:tls'
import type { Peer } from '@holdfast/core'
import type { Credentials } from './mutual-tls.ts'
import { refusalOf, secureTerms } from './mutual-tls.ts'

/**
 * `heard`: its agent has answered. `reached`: something of its machine has, a refusal or a connection that was taken, and
 * nobody behind it answers: the machine is there, its agent is not.
 */
export type Echo = 'heard' | 'reached' | 'silence'

const withinMs = 280

export class AliveAsker {
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 2 })
  readonly #credentials: () => Credentials

  constructor(credentials: () => Credentials) {
    this.#credentials = credentials
  }

  ask({ name, address, port }: Peer): Promise<Echo> {
    return new Promise((resolve) => {
      // A connection that is kept open says nothing of now.
      let reached = false
      const asked = request(
        {
          method: 'GET',
          path: '/v1/alive',
          host: address,
          port,
          agent: this.#agent,
          signal: AbortSignal.timeout(withinMs),
          checkServerIdentity: (_name, { subjectaltname }) => refusalOf(subjectaltname, 'host', name),
          ...secureTerms(this.#credentials()),
        },
        (answer) => {
          answer.resume()
          answer.once('end', () => resolve(answer.statusCode === 200 ? 'heard' : 'reached'))
          answer.once('error', () => resolve('reached'))
        },
      )
      asked.once('socket', (socket) => {
        if (socket.connecting) socket.once('connect', () => (reached = true))
        // Nothing is said before it is known who listens.
        const say = (): void => void asked.end()
        if ((socket as TLSSocket).authorized) say()
        else socket.once('secureConnect', say)
      })
      asked.once('error', (error: NodeJS.ErrnoException) => {
        resolve(reached || error.code === 'ECONNREFUSED' ? 'reached' : 'silence')
      })
    })
  }

  close(): void {
    this.#agent.destroy()
  }
}
