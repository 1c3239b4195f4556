/** The admin socket of HAProxy: one line of commands, one answer. */
import { connect } from 'node:net'
import type { ProxyFacts } from '@holdfast/core'
import { HoldfastError } from '@holdfast/core'

const answerWithinMs = 1000
/** More than it ever says; what says more is not it. */
const answerMax = 1_000_000

/** `socket` is a path. Throws UNREACHABLE_ENGINE. */
export function askProxy(socket: string, commands: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const link = connect({ path: socket })
    let answer = ''
    const fail = (why: string): void => {
      link.destroy()
      reject(new HoldfastError('UNREACHABLE_ENGINE', `the proxy does not answer: ${why}`))
    }
    link.setTimeout(answerWithinMs, () => fail(`nothing for ${answerWithinMs} ms`))
    link.setEncoding('utf8')
    link.once('error', (error) => fail(error.message))
    link.once('connect', () => void link.write(`${commands.join(';')}\n`))
    link.on('data', (text: string) => {
      answer += text
      if (answer.length > answerMax) fail('it says too much')
    })
    link.once('end', () => {
      link.destroy()
      resolve(answer)
    })
  })
}

export const factsCommands = ['show servers state primary', 'show servers state replicas', 'show table told']

/** What the answers to `factsCommands` say. A server that is up as the last resort is no replica. */
export function parseProxyFacts(answer: string): ProxyFacts {
  const up = { primary: [] as string[], replicas: [] as string[] }
  for (const [, backend, server = '', state] of answer.matchAll(/^\d+ (primary|replicas) \d+ (\S+) \S+ (\d) /gm)) {
    if (state === '2' && !server.endsWith('-as-primary')) up[backend as keyof typeof up].push(server)
  }
  const [primary = null, ...others] = up.primary
  const told = Number(/key=primary .*\bgpt0=(\d+)/.exec(answer)?.[1] ?? 0)
  return { primary: others.length > 0 ? null : primary, replicas: up.replicas, told: told === 0 ? null : told }
}
