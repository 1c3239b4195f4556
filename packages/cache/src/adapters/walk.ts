/**
 * Walks over the keys of a namespace, for adapters whose framework wants that. It asks every primary for all of its keys,
 * a page at a time, so it takes longer the more there is, whoever it belongs to. What is written, or moves to another
 * node, on the way may be missed or come twice.
 */
import type { Cache } from '../cache.ts'
import type { Direct } from '../direct/calls.ts'

/** How many keys a node looks at in one step: more would keep it from everybody else. */
const looked = '500'
/** Tags that are tried to find all primaries. One that none of them is on has no slots, or no more than a handful. */
const mostTags = 4096

/** The keys of entries, as the application calls them. Some are no longer to be had: their entry ended, or was cleared. */
export async function* walkKeys(cache: Pick<Cache, 'on' | 'status'>): AsyncGenerator<readonly string[], void> {
  for await (const primary of eachPrimary(cache)) {
    const prefix = valuePrefix(primary)
    let cursor = '0'
    do {
      const command = ['SCAN', cursor, 'MATCH', `${prefix}*`, 'COUNT', looked]
      const [next, names] = await primary.call<[string, string[]]>(command, { keys: [] })
      yield [...new Set(names)].map((name) => name.slice(prefix.length))
      cursor = next
    } while (cursor !== '0')
  }
}

/** For each primary calls that go there. */
async function* eachPrimary(cache: Pick<Cache, 'on' | 'status'>): AsyncGenerator<Direct, void> {
  const seen = new Set<string>()
  for (let tag = 0; tag < mostTags; tag++) {
    const direct = cache.on(`{${tag}}`)
    const { node } = await direct.call(['PING'], { kind: 'read', meta: true })
    if (!seen.has(node)) {
      seen.add(node)
      yield direct
    }
    // Asked each time: nodes come and go while a long walk is under way.
    const primaries = cache.status().nodes.filter(({ role }) => role === 'primary')
    if (primaries.length > 0 && primaries.every((primary) => seen.has(primary.node))) return
  }
}

/** What values are called in the engine, from what direct calls are called there: `shop:d:/…` beside `shop:v:/…`. */
function valuePrefix(direct: Direct): string {
  const [start = ''] = direct.key('x').split(direct.tag)
  return start.replace(':d:', ':v:')
}
