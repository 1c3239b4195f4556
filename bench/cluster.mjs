// @ts-check
/**
 * A cluster as seen from outside, in the same way for Holdfast's and for the peer's: by its engines' own words.
 *
 * @typedef {{ readonly id: string, readonly port: number }} Node
 * @typedef {{ readonly username: string, readonly password: string }} Credentials
 * @typedef {{ readonly primary: Node, readonly replica: Node, readonly tag: string }} Shard
 */
import { parseClusterNodes, parseInfo, parseReplication } from '@holdfast/core'
import { EngineLink } from '../packages/control/dist/engine/link.js'

const address = '127.0.0.1'

export class Cluster {
  /** @type {readonly Node[]} */
  nodes
  /** @type {Credentials} */
  credentials
  /** @type {Map<string, EngineLink>} */
  #links = new Map()

  /**
   * @param {readonly Node[]} nodes
   * @param {Credentials} credentials
   */
  constructor(nodes, credentials) {
    this.nodes = nodes
    this.credentials = credentials
  }

  /** @param {Node} node */
  linkTo(node) {
    let link = this.#links.get(node.id)
    if (link === undefined) {
      link = new EngineLink({ address, port: node.port, ...this.credentials, name: 'bench' })
      this.#links.set(node.id, link)
    }
    return link
  }

  /** What is missing until this is a whole cluster: all answer, all agree, all replicas are linked. Undefined: nothing. */
  async missing() {
    const looks = await Promise.all(this.nodes.map((node) => this.#look(node).catch(() => undefined)))
    if (looks.some((look) => look === undefined)) return 'somebody does not answer'
    const seen = looks.flatMap((look) => look ?? [])
    if (seen.some(({ ok }) => !ok)) return 'somebody does not say ok'
    const [first] = seen
    if (seen.some(({ view }) => view !== first?.view)) return 'not all agree'
    if (first === undefined || first.members !== this.nodes.length) return 'not all know each other'
    const replicas = seen.filter(({ role }) => role === 'replica')
    if (replicas.length !== this.nodes.length / 2) return 'not half of them are replicas'
    return replicas.every(({ linked }) => linked) ? undefined : 'a replica is not linked'
  }

  /** Who is primary of what, with a hash tag of each shard's own. @returns {Promise<Shard[]>} */
  async shards() {
    const [anyNode] = this.nodes
    if (anyNode === undefined) throw new Error('a cluster without nodes')
    const link = this.linkTo(anyNode)
    const { entries } = parseClusterNodes(String(await link.command(['CLUSTER', 'NODES'])))
    const nodeAt = (/** @type {number} */ port) => this.nodes.find((node) => node.port === port)
    const shards = []
    for (const owner of entries.filter(({ slots }) => slots.length > 0)) {
      const replica = nodeAt(entries.find(({ follows }) => follows === owner.engineId)?.port ?? 0)
      const primary = nodeAt(owner.port)
      if (primary === undefined || replica === undefined) throw new Error('a shard without its two nodes')
      shards.push({ primary, replica, tag: await tagIn(owner.slots, link) })
    }
    return shards
  }

  /** The slots of each primary. */
  async slots() {
    const [anyNode] = this.nodes
    if (anyNode === undefined) throw new Error('a cluster without nodes')
    const { entries } = parseClusterNodes(String(await this.linkTo(anyNode).command(['CLUSTER', 'NODES'])))
    return entries.flatMap(({ slots }) => (slots.length === 0 ? [] : [slots]))
  }

  close() {
    for (const link of this.#links.values()) link.close()
    this.#links.clear()
  }

  /** @param {Node} node */
  async #look(node) {
    const [infoText, clusterText, nodesText] = await this.linkTo(node).pipeline([
      ['INFO', 'replication'],
      ['CLUSTER', 'INFO'],
      ['CLUSTER', 'NODES'],
    ])
    const { role, link } = parseReplication(parseInfo(String(infoText)))
    const { entries } = parseClusterNodes(String(nodesText))
    const lines = entries.map(({ engineId, follows, health, handshake, linked, slots }) =>
      [engineId, follows, health, handshake, linked, JSON.stringify(slots)].join(' '),
    )
    return {
      ok: parseInfo(String(clusterText)).get('cluster_state') === 'ok',
      role,
      linked: link?.state === 'up',
      members: entries.filter(({ health, handshake, linked }) => health === 'ok' && linked && !handshake).length,
      view: lines.sort().join('\n'),
    }
  }
}

/**
 * A hash tag whose keys belong to these slots: asked of the engine, so that nothing here has to hash like it.
 *
 * @param {readonly (readonly [number, number])[]} slots
 * @param {EngineLink} link
 */
async function tagIn(slots, link) {
  for (let count = 0; count < 1000; count++) {
    const slot = Number(await link.command(['CLUSTER', 'KEYSLOT', `t${count}`]))
    if (slots.some(([from, to]) => from <= slot && slot <= to)) return `t${count}`
  }
  throw new Error('no tag for these slots')
}
