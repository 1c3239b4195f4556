import { hideSecrets } from '@holdfast/core'
import type { Logger } from 'pino'
import { pino } from 'pino'

/** What waits to be written, in characters: what comes after it is dropped. */
const logBacklogMax = 1_000_000

/** Names under which a secret would be logged, on the first level and below one that says whose it is. */
const secretNames = ['password', 'passphrase', 'secret', 'secrets', 'token', 'authorization', 'cookie', 'key']
const secretPaths = secretNames.flatMap((name) => [name, `*.${name}`, `*.*.${name}`])

/**
 * A log of this process, for its owner alone. What is called a secret is not written, and what looks like one is hidden
 * in whatever sentence it stands: an error's message may repeat what a stranger's program said.
 *
 * A log that cannot be written, on a full disk above all, costs its lines and never the process.
 */
export function logAt(path: string, base: Readonly<Record<string, string>>): Logger {
  const file = pino.destination({ dest: path, mode: 0o600, sync: false, mkdir: true, maxLength: logBacklogMax })
  file.on('error', () => {})
  return pino(
    {
      level: process.env['HOLDFAST_LOG_LEVEL'] ?? 'info',
      base,
      redact: { paths: secretPaths, censor: '****' },
      hooks: { streamWrite: hideSecrets },
    },
    file,
  )
}
