import { afterEach, describe, expect, test } from 'vitest'
import { ControllerProcess } from '../support/controller-process.ts'
import { TestDeployment, TestHome } from '../support/deployment.ts'
import { freePorts } from '../support/engines.ts'
import { eventually } from '../support/eventually.ts'

/* The controller is not in the data path: it may die or sleep at any moment, and the next one carries on. */
describe('a controller in a process of its own', () => {
  const places: TestHome[] = []
  const processes: ControllerProcess[] = []
  const nodes = Array.from({ length: 6 }, (_, index) => ({ id: `node-${index + 1}` }))

  afterEach(async () => {
    for (const running of processes.splice(0)) await running.kill()
    for (const place of places.splice(0)) place.remove()
  })

  const aHome = (): TestHome => {
    const place = new TestHome()
    places.push(place)
    return place
  }

  const aController = async (place: TestHome): Promise<ControllerProcess> => {
    const running = await ControllerProcess.start(place.home)
    processes.push(running)
    return running
  }

  const pids = (place: TestHome): (number | undefined)[] => nodes.map(({ id }) => place.pidOf('it', id))

  const create = async (place: TestHome): Promise<ControllerProcess> => {
    const running = await aController(place)
    await running.api.apply(
      'it',
      { name: 'it', memory: { maxPerNode: '64mb' }, expose: { basePort: await freePorts(6) } },
      null,
    )
    return running
  }

  test('killed with -9: the engines are not touched, the next one carries on with a higher epoch', async () => {
    const place = aHome()
    const first = await create(place)
    await first.ready()
    const before = pids(place)
    const { epoch } = (await first.api.status('it')).controller
    await first.kill()
    expect(pids(place)).toEqual(before)
    const second = await aController(place)
    const status = await second.ready()
    expect(pids(place)).toEqual(before)
    expect(status.controller.epoch).toBeGreaterThan(epoch)
  })

  test('killed with -9 at any moment of creation: the next one completes it', async () => {
    for (const [step, sentence] of ['starting node-1', 'giving out slots', 'introducing', 'shall follow'].entries()) {
      const place = aHome()
      const first = await create(place)
      await eventually(async () => {
        const told = await first.api.events('it', 200)
        return told.some(({ because }) => because.includes(sentence))
      })
      await first.kill()
      const second = await aController(place)
      const status = await second.ready()
      expect(
        status.shards.map(({ slots }) => slots.length),
        `step ${step}`,
      ).toEqual([1, 1, 1])
    }
  })

  test('a primary and the controller killed together: the next controller promotes the replica', async () => {
    const place = aHome()
    const first = await create(place)
    const before = await first.ready()
    const primary = before.shards[0]?.primary ?? ''
    const pid = place.pidOf('it', primary)
    await first.kill()
    process.kill(pid ?? 0, 'SIGKILL')
    const second = await aController(place)
    await eventually(
      async () => (await second.api.status('it')).shards[0]?.primary !== primary && (await second.isReady()),
    )
    const promoted = await second.api.events('it', 200)
    expect(promoted.some(({ because }) => because.startsWith(`${primary} (primary of shard-1) is dead`))).toBe(true)
  })

  test('paused for longer than its lease: it wakes up beside a newer one, is refused and stands by', async () => {
    const place = aHome()
    const first = await create(place)
    await first.ready()
    first.pause()
    const second = await aController(place)
    await eventually(async () => (await second.api.status('it')).controller.lease === 'held', { withinMs: 20_000 })
    const ready = await second.ready()
    const primary = ready.shards[0]?.primary ?? ''
    process.kill(place.pidOf('it', primary) ?? 0, 'SIGKILL')
    await eventually(
      async () => (await second.api.status('it')).shards[0]?.primary !== primary && (await second.isReady()),
    )
    first.continue()
    await eventually(async () => (await first.api.status('it')).because.startsWith('another controller'), {
      withinMs: 20_000,
    })
    const after = await second.api.status('it')
    expect(after.controller).toMatchObject({ lease: 'held', epoch: ready.controller.epoch })
    const actors = (await second.api.events('it', 500))
      .filter(({ kind }) => kind === 'action')
      .map(({ epoch }) => epoch)
    expect(actors).toEqual([...actors].sort((a, b) => a - b))
  })
})

describe('a controller in this process', () => {
  let it: TestDeployment | undefined

  afterEach(async () => {
    await it?.close()
  })

  test('ends and comes back without touching an engine', async () => {
    it = await TestDeployment.up()
    const before = it.status().nodes.map(({ id }) => it?.pidOf(id))
    await it.stopController()
    await it.startController()
    await it.ready()
    expect(it.status().nodes.map(({ id }) => it?.pidOf(id))).toEqual(before)
  })
})
