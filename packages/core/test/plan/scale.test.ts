import { describe, expect, test } from 'vitest'
import type { NodePlace, Operation, Scale } from '../../src/index.ts'
import { placeMore, placesOfShards } from '../../src/index.ts'
import type { Break, Deployment } from '../support/deployment.ts'
import { aDeployment, dead, factsOf, failedStarts, silentFor, viewsOf, wallNow } from '../support/deployment.ts'
import { asked, operationOf, withOperation } from '../support/operations.ts'
import { drainedFour, slotlessFour } from '../support/slotless.ts'

const three = aDeployment()
const placesIn = (deployment: Deployment, shard: string): NodePlace[] =>
  placeMore(deployment.document, deployment.spec, placesOfShards([shard], deployment.spec), () => false)
const out = asked({ kind: 'scale', subject: 'shop', shards: 4, places: placesIn(three, 'shard-4') })
const inTo = (shards: number, going: readonly string[], more = {}): Operation =>
  asked({ kind: 'scale', subject: 'shop', shards, going, ...more })
const running = (operation: Operation, more: Partial<Scale> = {}): Break =>
  withOperation({ ...operation, state: 'running', beganAt: wallNow - 1000, ...more } as Operation)
const used =
  (bytes: number): Break =>
  (world) => {
    for (const { id } of world.observed.nodes) factsOf(world, id).memoryBytes = bytes
  }
const leaving = ({ places = [] }: { places?: readonly { id: string; place: NodePlace | null }[] }): string[] =>
  places.filter(({ place }) => place?.leaving !== undefined).map(({ id }) => id)

describe('a scaling', () => {
  test('begins with places that are marked, and is what counts from then on', () => {
    const plan = three.with(withOperation(out)).plan()
    expect(plan.places?.map(({ id, place }) => [id, place?.shard, place?.slotless])).toEqual([
      ['node-7', 'shard-4', true],
      ['node-8', 'shard-4', true],
    ])
    expect(plan.scale).toEqual({ shards: 4, setBy: 'ann' })
    expect(plan.operations?.[0]?.state).toBe('running')
  })

  test('waits until all is well, and says so', () => {
    const plan = three.with(silentFor('node-5', 400), withOperation(out)).plan()
    expect(plan.because).toContain('scaling shop to 4 shards waits until shop is ready')
    expect(plan.operations).toBeUndefined()
  })

  test('does not begin where there are others by now', () => {
    const operation = operationOf(three.with(withOperation(inTo(4, ['shard-5']))))
    expect(operation).toMatchObject({ state: 'failed' })
    expect(operation.because).toContain('there is no shard-5 any more')
  })

  test('does not begin where those that stay have no room by now', () => {
    const four = aDeployment({ shards: 4 })
    const operation = operationOf(four.with(used(180 * 1024 ** 2), withOperation(inTo(3, ['shard-4']))))
    expect(operation).toMatchObject({ state: 'failed' })
    expect(operation.because).toContain('720 MB in all on 3 shards with room for 768 MB is 94 % full')
    const accepted = inTo(3, ['shard-4'], { acceptEviction: true })
    expect(operationOf(four.with(used(180 * 1024 ** 2), withOperation(accepted))).state).toBe('running')
  })

  test('never leaves fewer than three', () => {
    const operation = operationOf(three.with(withOperation(inTo(2, ['shard-3']))))
    expect(operation.because).toContain('2 primaries would be left, and a cluster needs 3 to outvote a dead one')
  })

  test('decides once who shall have which slots, when what comes is in sync', () => {
    const coming = slotlessFour().document.nodes.filter(({ shard }) => shard === 'shard-4')
    const operation = asked({ kind: 'scale', subject: 'shop', shards: 4, places: coming })
    const decided = operationOf(slotlessFour(running(operation))) as Scale
    expect(Object.keys(decided.wanted ?? {})).toEqual(['shard-1', 'shard-2', 'shard-3', 'shard-4'])
    expect(decided.because).toBe('scaling shop to 4 shards: 4096 slots move')
    const waiting = slotlessFour(silentFor('node-8', 400), running(operation)).plan()
    expect(waiting.operations).toBeUndefined()
  })

  test('is given up where an engine that comes does not start', () => {
    const coming = slotlessFour().document.nodes.filter(({ shard }) => shard === 'shard-4')
    const operation = asked({ kind: 'scale', subject: 'shop', shards: 4, places: coming })
    const broken = slotlessFour(dead('node-8'), failedStarts('node-8', 5, 1000, 'Out of memory'), running(operation))
    expect(operationOf(broken)).toMatchObject({ state: 'failed' })
    expect(operationOf(broken).because).toContain('node-8 of shard-4 does not start (Out of memory)')
  })

  test('is given up where what comes is not ready within an hour', () => {
    const coming = slotlessFour().document.nodes.filter(({ shard }) => shard === 'shard-4')
    const operation = asked({ kind: 'scale', subject: 'shop', shards: 4, places: coming })
    const late = slotlessFour(silentFor('node-8', 400), running(operation, { beganAt: wallNow - 3_600_001 }))
    expect(operationOf(late).because).toContain('not ready after 60 min')
  })

  test('is done once those that go are forgotten, and not before', () => {
    const wanted = { 'shard-1': [[0, 4095]], 'shard-2': [[4096, 8191]], 'shard-3': [[8192, 16_383]], 'shard-4': [] }
    const going = running(inTo(3, ['shard-4']), { wanted: wanted as never })
    expect(operationOf(slotlessFour(going)).state).toBe('running')
    const gone = slotlessFour(going, (world) => {
      const { document } = world
      document.nodes = document.nodes.filter(({ shard }) => shard !== 'shard-4')
      world.observed.nodes = world.observed.nodes.filter(({ shard }) => shard !== 'shard-4')
    })
    expect(operationOf(gone)).toMatchObject({ state: 'done', because: expect.stringContaining('done in 1 s') })
  })
})

describe('a shard that is empty', () => {
  test('leaves by itself, its replicas first', () => {
    expect(leaving(slotlessFour().plan())).toEqual(['node-8'])
  })

  test('stays while it is waiting for its slots', () => {
    const coming = slotlessFour().document.nodes.filter(({ shard }) => shard === 'shard-4')
    const operation = asked({ kind: 'scale', subject: 'shop', shards: 4, places: coming })
    expect(leaving(slotlessFour(running(operation)).plan())).toEqual([])
  })

  test('stays while it has a key', () => {
    const plan = slotlessFour((world) => {
      factsOf(world, 'node-4').keys = 3
    }).plan()
    expect(leaving(plan)).toEqual([])
    expect(plan.because).toBe('shard-4 has no slots, and node-4 still holds 3 keys: it stays')
  })

  test('stays while somebody still believes that it has slots', () => {
    const plan = slotlessFour((world) => {
      const [view] = viewsOf(world)
      const entry = view?.entries.find(({ engineId }) => engineId === factsOf(world, 'node-4').engineId)
      if (entry !== undefined) entry.slots = [[12_288, 16_383]]
    }).plan()
    expect(leaving(plan)).toEqual([])
    expect(plan.because).toContain('shard-4 leaves once node-1 has heard that its slots are elsewhere')
  })

  test('stays where nobody has said that it may be empty', () => {
    expect(leaving(drainedFour().plan())).toEqual([])
  })

  test('keeps the next operation waiting', () => {
    const plan = slotlessFour(withOperation(asked({ kind: 'restart', subject: 'shop' }))).plan()
    expect(plan.because).toContain('restart of shop waits until shard-4 has left')
  })
})

test('a shard that has its slots, and a scaling that is over, loses its mark', () => {
  const four = aDeployment({ shards: 4 }).with((world) => {
    for (const node of world.document.nodes) if (node.shard === 'shard-4') node.slotless = true
  })
  const { places = [] } = four.plan()
  expect(places.map(({ id, place }) => [id, place?.slotless])).toEqual([
    ['node-4', undefined],
    ['node-8', undefined],
  ])
})

test('what was wished and given up is not wished any more', () => {
  const plan = three
    .with((world) => {
      world.document.scale = { shards: 5, setBy: 'ann' }
    })
    .plan()
  expect(plan.scale).toEqual({ shards: 3, setBy: 'ann' })
})
