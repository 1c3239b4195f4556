// @ts-check
/** From "there shall be 3 primaries and 3 replicas" to a whole cluster: Holdfast, and the engine's own command line. */
import { BareCluster } from './bare-cluster.mjs'
import { Deployment } from './deployment.mjs'

const runsWanted = 7

/** @param {import('./main.mjs').Bench} bench */
export async function benchCreate({ engine, runs = runsWanted, say }) {
  const ours = []
  const peer = []
  const peerCommand = []
  for (let run = 1; run <= runs; run++) {
    const readyMs = await createOurs()
    ours.push(readyMs)
    const { bare, fromStartMs, fromCommandMs } = await BareCluster.up(engine, ['--cluster-node-timeout', '5000'])
    await bare.remove()
    peer.push(fromStartMs)
    peerCommand.push(fromCommandMs)
    say(`run ${run}: Holdfast ${readyMs.toFixed(0)} ms, ${engine.flavor}-cli ${fromStartMs.toFixed(0)} ms`)
  }
  const limits = [{ of: /** @type {const} */ ('median'), atMost: 2500 }]
  const rows = [
    { what: 'Holdfast, apply to ready', unit: 'ms', runs: ours, limits },
    { what: `${engine.flavor}-cli --cluster create, with the start of the servers`, unit: 'ms', runs: peer },
    { what: `${engine.flavor}-cli --cluster create, servers running`, unit: 'ms', runs: peerCommand },
  ]
  return { rows, compare: /** @type {[number, number][]} */ ([[0, 1]]) }
}

async function createOurs() {
  const deployment = new Deployment()
  try {
    await deployment.startController()
    return await deployment.create()
  } finally {
    await deployment.remove()
  }
}
