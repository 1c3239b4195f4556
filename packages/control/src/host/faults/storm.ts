import { setMaxListeners } from 'node:events'
import { connect } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { engineUsers } from '@holdfast/core'
import { adminLink } from './admin-link.ts'
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
    const password = fault.secrets[engineUsers.app] ?? ''
    const crowd = Array.from({ length: clients }, (_, index) => nodes[index % nodes.length]).flatMap((node) =>
      node === undefined ? [] : [signIn(node, password, over)],
    )
    const signedIn = await Promise.all(crowd)
    const count = signedIn.filter(Boolean).length
    if (count < clients / 2) throw new Error(`only ${count} of ${clients} clients could sign in`)
  },
  heal: async () => {},
}

async function cutAll({ scene, secrets }: FaultCase): Promise<void> {
  await Promise.all(
    scene.nodes.map(async (node) => {
      const link = adminLink(node, secrets)
      try {
        await link.command(['CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes'], 5000)
      } finally {
        link.close()
      }
    }),
  )
}

/** One plain client, that tries again as a client does. Whether it was let in. */
async function signIn(node: Endpoint, password: string, over: AbortSignal): Promise<boolean> {
  const deadline = performance.now() + signInWithinMs
  while (!over.aborted && performance.now() < deadline) {
    if (await knock(node, password, over)) return true
    await delay(againAfterMs)
  }
  return false
}

function knock({ host, port }: Endpoint, password: string, over: AbortSignal): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port })
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
    socket.write(`AUTH ${engineUsers.app} ${password}\r\nPING\r\n`)
  })
}
