/** The one question that agents ask one another: whether the other is there. */
import { request } from 'node:https'
import type { TLSSocket } from 'node:tls'
import type { Peer } from '@holdfast/core'
import { KeptConnections } from './kept-connections.ts'
import type { Credentials } from './mutual-tls.ts'
import { refusalOf } from './mutual-tls.ts'

/**
 * `heard`: its agent has answered. `reached`: something of its machine has, a refusal or a connection that was taken, and
 * nobody behind it answers: the machine is there, its agent is not.
 */
export type Echo = 'heard' | 'reached' | 'silence'

const withinMs = 280

export class AliveAsker {
  readonly #connections: KeptConnections

  constructor(credentials: () => Credentials) {
    this.#connections = new KeptConnections(credentials)
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
          checkServerIdentity: (_name, { subjectaltname }) => refusalOf(subjectaltname, 'host', name),
          ...this.#connections.terms(),
        },
        (answer) => {
          answer.resume()
          answer.once('end', () => resolve(answer.statusCode === 200 ? 'heard' : 'reached'))
          answer.once('error', () => resolve('reached'))
        },
      )
      const deadline = setTimeout(() => asked.destroy(new Error(`no answer within ${withinMs} ms`)), withinMs)
      asked.once('close', () => clearTimeout(deadline))
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
    this.#connections.close()
  }
}
