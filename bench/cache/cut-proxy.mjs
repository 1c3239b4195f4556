// @ts-check
/** A link to one port that can be cut: every connection is reset, and further ones are refused until it is healed. */
import { once } from 'node:events'
import { connect, createServer } from 'node:net'

export class CutProxy {
  #server
  /** @type {Set<import('node:net').Socket>} */
  #sockets = new Set()
  /** How many connections were accepted. */
  accepted = 0
  /** The most that were open at once. */
  mostOpen = 0
  port = 0

  /** @param {number} target */
  constructor(target) {
    this.#server = createServer({ noDelay: true }, (client) => {
      const engine = connect({ host: '127.0.0.1', port: target, noDelay: true })
      this.accepted++
      for (const [one, other] of /** @type {const} */ ([
        [client, engine],
        [engine, client],
      ])) {
        this.#sockets.add(one)
        one.on('error', () => {})
        one.once('close', () => {
          this.#sockets.delete(one)
          other.destroy()
        })
        one.pipe(other)
      }
      this.mostOpen = Math.max(this.mostOpen, this.open)
    })
  }

  /** @param {number} target */
  static async before(target) {
    const proxy = new CutProxy(target)
    await proxy.heal()
    return proxy
  }

  get open() {
    return this.#sockets.size / 2
  }

  reset() {
    for (const socket of this.#sockets) socket.resetAndDestroy()
  }

  cut() {
    this.#server.close()
    this.reset()
  }

  async heal() {
    this.#server.listen(this.port, '127.0.0.1')
    await once(this.#server, 'listening')
    this.port = /** @type {import('node:net').AddressInfo} */ (this.#server.address()).port
  }
}
