import { describe, expect, test } from 'vitest'
import { layOut, parseSpec } from '../../src/index.ts'
import type { Break, Deployment } from '../support/deployment.ts'
import { aDeployment, dead, engineIdOf, linkDown, pidOf, silentFor, viewsOf } from '../support/deployment.ts'

const hosts = ['a', 'b', 'c'].map((name, index) => ({ name, address: `10.0.0.${index + 1}`, zone: `z${index + 1}` }))
const where = layOut(parseSpec({ name: 'shop', hosts }))
const on = (host: string) => where.filter((place) => place.host === host)
const primaryOnB = on('b').find(({ id }) => Number(id.slice(5)) <= 3)?.id ?? ''
const replicaOnB = on('b').find(({ id }) => id !== primaryOnB)?.id ?? ''
const heirOf = (id: string) =>
  where.find((other) => other.id !== id && other.shard === where.find((one) => one.id === id)?.shard)?.id ?? ''

/** Host b is somewhere else, and the spec says so; everybody has certificates already. */
const moved: Break = (world) => {
  for (const host of world.spec.hosts) if (host.name === 'b') host.address = '10.0.9.2'
  world.spec.security.tls = 'off'
}
const settled =
  (id: string): Break =>
  (world) => {
    for (const node of [...world.document.nodes, ...world.observed.nodes]) if (node.id === id) node.address = '10.0.9.2'
    for (const entry of viewsOf(world).flatMap(({ entries }) => entries))
      if (entry.engineId === engineIdOf(id)) entry.address = '10.0.9.2'
  }
const heldForFailed =
  (id: string): Break =>
  (world) => {
    for (const view of viewsOf(world))
      for (const entry of view.entries) if (entry.engineId === engineIdOf(id)) entry.health = 'fail'
  }
const shop = (...breaks: readonly Break[]): Deployment => aDeployment({ spec: { hosts } }).with(moved, ...breaks)

describe('a host that is at another address by now', () => {
  test('has its replica ended first', () => {
    const { actions, because } = shop().plan()
    expect(actions).toEqual([{ kind: 'stop', node: replicaOnB, save: false }])
    expect(because).toContain('moves to 10.0.9.2, where b is by now')
  })

  test('has it started where it is', () => {
    const { places, actions } = shop(dead(replicaOnB)).plan()
    expect(places).toMatchObject([{ id: replicaOnB, place: { address: '10.0.9.2', host: 'b' } }])
    expect(actions).toEqual([])
    expect(shop(dead(replicaOnB), settled(replicaOnB)).plan().actions).toMatchObject([{ kind: 'start' }])
  })

  test('hands its primary over once the replica has settled, and only then ends it', () => {
    const { actions } = shop(settled(replicaOnB)).plan()
    expect(actions).toEqual([{ kind: 'failover', node: heirOf(primaryOnB), mode: 'switchover' }])
  })

  test('waits while a copy is not in sync', () => {
    const { actions, because } = shop(linkDown(heirOf(primaryOnB), 500)).plan()
    expect(actions.filter(({ kind }) => kind === 'stop' || kind === 'failover')).toEqual([])
    expect(because).not.toBe('')
  })
})

describe('an engine that nobody reaches at its old address', () => {
  test('is ended once all others hold it for failed', () => {
    const world = shop(silentFor(replicaOnB, 1500, 'burning CPU'), heldForFailed(replicaOnB))
    expect(world.plan().actions).toEqual([{ kind: 'fence', node: replicaOnB, pid: pidOf(replicaOnB), startTime: 77 }])
  })

  test('is left alone before that', () => {
    expect(shop(silentFor(replicaOnB, 1500, 'burning CPU')).plan().actions).toEqual([])
  })
})
