/**
 * The API and the panel for other machines: the same application, at one more address, behind TLS. What comes in there
 * is judged by the certificate that it was shown (`origin.ts`), and gets a cookie that no connection without TLS carries.
 */
import { createServer } from 'node:https'
import { isIP } from 'node:net'
import type { FastifyBaseLogger, FastifyInstance } from 'fastify'
import { systemClock } from '../clock.ts'
import type { KeyPair } from '../pki/certificate.ts'
import { onDisk } from '../store/disk-error.ts'
import type { Home } from '../store/home.ts'
import type { Settings } from '../store/store.ts'
import { writeAtomically } from '../write-file.ts'
import { refusedListening } from './listen.ts'
import { suppliedCertificate } from './outside-certificate.ts'
import type { OutsidePlace } from './outside-place.ts'
import { keepOutside, outsideBefore } from './outside-place.ts'

/** Whoever may come here is many, and each holds memory. */
const connectionsMax = 4000
const requestWithinMs = 30_000

/** What is shown there, and its successors. */
interface Shown {
  readonly now: KeyPair
  onReplaced(listener: (fresh: KeyPair) => void): void
  close(): void
}

export interface Outside {
  readonly url: string
  close(): Promise<void>
}

interface Opening {
  readonly app: FastifyInstance
  readonly options: { readonly home: Home; readonly outside?: OutsidePlace | 'off' | undefined }
  readonly settings: Settings
  /** The controller's. */
  readonly id: string
  readonly log: FastifyBaseLogger
}

/** Opens it where it is wanted, or was last time. Throws HOST_PORT_IN_USE, and USAGE for what cannot be shown or had. */
export async function openOutside({ app, options, settings, id, log }: Opening): Promise<Outside | undefined> {
  const { home, outside: wanted } = options
  const place = wanted ?? outsideBefore(home) ?? 'off'
  if (place === 'off') {
    if (wanted === 'off') keepOutside(home, 'off')
    return undefined
  }
  const shown = await shownAt(place, home, settings, { id, log })
  try {
    const outside = await listenOutside(app, place, shown)
    if (wanted !== undefined) keepOutside(home, place)
    return outside
  } catch (error) {
    shown.close()
    throw error
  }
}

/** The owner's certificate, or one of the home's authority, whose own is put where it can be handed out. */
async function shownAt(
  { address, names, files }: OutsidePlace,
  home: Home,
  settings: Settings,
  { id, log }: Pick<Opening, 'id' | 'log'>,
): Promise<Shown> {
  if (files !== null) return suppliedCertificate(files, systemClock, log)
  const { HomeAuthority } = await import('../hosts/home-authority.ts')
  const authority = await HomeAuthority.open(settings, home.path, systemClock)
  onDisk(home.authority, () => writeAtomically(home.authority, authority.certificate))
  return authority.credentialsFor({ role: 'controller', name: id }, [address, ...names])
}

export async function listenOutside(
  app: FastifyInstance,
  { address, port }: OutsidePlace,
  shown: Shown,
): Promise<Outside> {
  await app.ready()
  const terms = ({ certificate, key }: KeyPair) => ({ cert: certificate, key })
  const timing = { requestTimeout: requestWithinMs, headersTimeout: requestWithinMs }
  const server = createServer({ ...terms(shown.now), ...timing }, (request, reply) => app.routing(request, reply))
  server.maxConnections = connectionsMax
  shown.onReplaced((fresh) => server.setSecureContext(terms(fresh)))
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, address, resolve)
  }).catch((error: unknown) => {
    const flags = { portFlag: '--listen ADDRESS:PORT', addressFlag: '--listen' }
    throw refusedListening({ address, port, what: 'the panel', ...flags }, error)
  })
  return {
    url: `https://${isIP(address) === 6 ? `[${address}]` : address}:${port}`,
    close: () =>
      new Promise((resolve) => {
        shown.close()
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}
