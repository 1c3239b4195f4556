/** Engines that speak TLS and nothing else: a Cluster, and an engine that Sentinels watch behind the proxy. */
import { connect } from 'node:tls'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { EngineLink } from '../../packages/control/src/engine/link.ts'
import { TestDeployment } from '../support/deployment.ts'
import { eventually } from '../support/eventually.ts'

let it: TestDeployment

describe('a Cluster', () => {
  beforeAll(async () => {
    it = await TestDeployment.up({ security: { tls: 'on' } })
  })
  afterAll(() => it?.close())

  test('nobody is answered in clear', async () => {
    const { host: address, port } = it.node('node-1')
    const link = new EngineLink({ address, port, username: 'app', password: it.password, name: 'clear' })
    await expect(link.command(['PING'])).rejects.toMatchObject({ code: 'UNREACHABLE_ENGINE' })
    link.end()
  })
})
