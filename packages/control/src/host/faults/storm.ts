import { setMaxListeners } from 'node:events'
import { connect } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { connect as connectSecurely } from 'node:tls'
import { engineUsers } from '@holdfast/core'
import { adminLink, authorityOf } from './admin-link.ts'
import type { FaultCase } from './fault-file.ts'
import type { Injury } from './injury.ts'

type Endpoint = FaultCase['scene']['nodes'][number]

const clients = 500
const signInWithinMs = 20_000
const againAfterMs = 100

/** Every client is cut off, and a crowd signs in at the same moment and stays. It leaves with the process that it lives in. */
export const storm: Injury = {
  inject: async (fault, over) => {
    const { nodes } = fault.scene
    // First the cut, or it would hit those who have just come.
    await cutAll(fault)
    setMaxListeners(clients, over)
    const crowd = Array.from({ length: clients }, (_, index) => nodes[index % nodes.length]).flatMap((node) =>
      node === undefined ? [] : [signIn(node, fault, over)],
    )
    const signedIn = await Promise.all(crowd)
    const count = signedIn.filter(Boolean).length
    if (count < clients / 2) throw new Error(`only ${count} of ${clients} clients could sign in`)
  },
  heal: async () => {},
}

async function cutAll(fault: FaultCase): Promise<void> {
  await Promise.all(
    fault.scene.nodes.map(async (node) => {
      const link = adminLink(node, fault)
      try {
        await link.command(['CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes'], 5000)
      } finally {
        link.close()
      }
    }),
  )
}

/** One plain client, that tries again as a client does. Whether it was let in. */
async function signIn(node: Endpoint, fault: FaultCase, over: AbortSignal): Promise<boolean> {
  const deadline = performance.now() + signInWithinMs
  while (!over.aborted && performance.now() < deadline) {
    if (await knock(node, fault, over)) return true
    await delay(againAfterMs)
  }
  return false
}

function knock({ id, host, port }: Endpoint, fault: FaultCase, over: AbortSignal): Promise<boolean> {
  const ca = authorityOf(id, fault)
  // An agent has no password of the application.
  const user = fault.secrets[engineUsers.app] === undefined ? engineUsers.admin : engineUsers.app
  const password = fault.secrets[user] ?? ''
  return new Promise((resolve) => {
    const socket = ca === null ? connect({ host, port }) : connectSecurely({ host, port, ca })
    let heard = ''
    const leave = () => socket.destroy()
    over.addEventListener('abort', leave, { once: true })
    socket.setTimeout(signInWithinMs, leave)
    socket.on('data', (part) => {
      heard += part.toString()
      if (!heard.includes('+PONG')) return
      socket.setTimeout(0)
      resolve(true)
    })
    socket.on('error', () => {})
    socket.on('close', () => {
      over.removeEventListener('abort', leave)
      resolve(false)
    })
    socket.write(`AUTH ${user} ${password}\r\nPING\r\n`)
  })
}
