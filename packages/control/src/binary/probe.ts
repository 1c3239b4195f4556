import { constants } from 'node:fs'
import { access, stat } from 'node:fs/promises'
import { run } from './run.ts'
import { type EngineVersion, parseEngineVersion } from './version.ts'

export type Probe =
  | { readonly kind: 'engine'; readonly engine: EngineVersion }
  /** `why` continues a sentence that began with the file's name. */
  | { readonly kind: 'unusable'; readonly why: string }

/** Asks a program whether it is an engine. Only running it proves that its libraries are there as well. */
export async function probeEngine(file: string, env: Readonly<Record<string, string>>): Promise<Probe> {
  const obstacle = await obstacleToRunning(file)
  if (obstacle !== null) return { kind: 'unusable', why: obstacle }
  const { stdout, stderr, failure } = await run(file, ['--version'], { env, timeoutMs: 10_000 })
  if (failure !== null) return { kind: 'unusable', why: `does not run: ${firstLine(stderr) ?? failure}` }
  const engine = parseEngineVersion(stdout)
  if (engine !== null) return { kind: 'engine', engine }
  return { kind: 'unusable', why: `is not an engine: it answers --version with "${firstLine(stdout) ?? ''}"` }
}

/**
 * Whether an engine was built with TLS. Told to listen that way with a certificate that is none, one that can complains
 * of the certificate, and ends; one that cannot complains of the directive, or of what it lacks, and ends as well.
 */
export async function speaksTls(file: string, env: Readonly<Record<string, string>>): Promise<boolean> {
  const none = ['cert-file', 'key-file', 'ca-cert-file'].flatMap((name) => [`--tls-${name}`, '/dev/null'])
  const args = ['--port', '0', '--tls-port', '1', '--logfile', '', ...none]
  const { stdout, stderr } = await run(file, args, { env, cwd: '/', timeoutMs: 10_000 })
  return /failed to (load|configure)/i.test(`${stdout}${stderr}`)
}

async function obstacleToRunning(file: string): Promise<string | null> {
  const found = await stat(file).catch(() => null)
  if (found === null) return 'does not exist'
  if (!found.isFile()) return 'is not a file'
  return (await mayExecute(file)) ? null : 'is not executable'
}

export const mayExecute = (file: string): Promise<boolean> =>
  access(file, constants.X_OK).then(
    () => true,
    () => false,
  )

const firstLine = (text: string): string | null => text.trim().split('\n', 1)[0]?.slice(0, 200) || null
