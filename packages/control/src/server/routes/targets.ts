import { isIP } from 'node:net'
import { HoldfastError } from '@holdfast/core'
import type { FastifyPluginAsync } from 'fastify'
import type { Access } from '../../store/access.ts'
import { parseFields, text, usage } from '../body.ts'

const targetsMax = 100

/** Addresses inside that callers of the API may have connected to. Only the machine itself changes the list. */
export const targetRoutes: FastifyPluginAsync<{ access: Access }> = async (app, { access }) => {
  app.get('/allowed-targets', async () => ({ targets: access.targets() }))

  app.post('/allowed-targets', async ({ body, change }, reply) => {
    const target = rangeOf(text(parseFields(body, ['target']), 'target', 80))
    const before = access.targets()
    if (before.length >= targetsMax) throw usage(`${targetsMax} targets are all there can be: name a wider range`)
    if (!before.includes(target)) await access.setTargets(before, [...before, target])
    Object.assign(change, { before, after: access.targets() })
    return reply.code(201).send({ target })
  })

  app.delete<{ Params: { target: string } }>('/allowed-targets/:target', async ({ params, change }) => {
    const target = rangeOf(params.target)
    const before = access.targets()
    if (!before.includes(target)) {
      throw new HoldfastError('NOT_FOUND', `${target} is not allowed: "holdfast allow-target --list" shows what is`)
    }
    await access.setTargets(
      before,
      before.filter((one) => one !== target),
    )
    Object.assign(change, { before, after: access.targets() })
    return { target, removed: true }
  })
}

/** `10.0.0.0/8`; one address stands for itself. */
function rangeOf(given: string): string {
  const [, address = '', bits] = /^([0-9a-fA-F.:]+)(?:\/(\d{1,3}))?$/.exec(given.trim()) ?? []
  const family = isIP(address)
  const most = family === 4 ? 32 : 128
  if (family === 0 || Number(bits ?? most) > most) {
    throw usage(`target: an address or a range of them, such as 10.0.0.7 or 10.0.0.0/24, not ${given.slice(0, 80)}`)
  }
  return `${address.toLowerCase()}/${Number(bits ?? most)}`
}
