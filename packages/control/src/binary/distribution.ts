/**
 * Which distribution a machine takes its packages from, and where that distribution keeps what the machine does not
 * have: the newer versions that were rebuilt for its release, and the source of the newest. The server is the machine's
 * own, so a mirror, a proxy and a cut-off network stay what its administrator made them.
 */

export interface Distribution {
  readonly origin: 'Debian' | 'Ubuntu'
  /** Of the release's main list. */
  readonly uri: string
  /** `bookworm`. */
  readonly codename: string
  readonly component: string
}

/** What `apt-get indextargets` is asked of each list. */
export const originFormat = '$(REPO_URI)|$(ORIGIN)|$(CODENAME)|$(COMPONENT)'

/** Null where the lists were not read, or are of another distribution. */
export function parseOrigins(answer: string): Distribution | null {
  for (const line of answer.split('\n')) {
    const [uri = '', origin, codename = '', component = ''] = line.split('|')
    if (origin !== 'Debian' && origin !== 'Ubuntu') continue
    // `bookworm-updates` and its like stand beside the release, and a security server has nothing else.
    if (!/^[a-z]+$/.test(codename) || !/^[a-z]+:\/\/\S+$/.test(uri)) continue
    if (component === (origin === 'Debian' ? 'main' : 'universe')) return { origin, uri, codename, component }
  }
  return null
}

/** Signed by the same keys as the release. A machine without that file has them where apt looks by itself. */
export const keyringOf = ({ origin }: Distribution): string =>
  `/usr/share/keyrings/${origin.toLowerCase()}-archive-keyring.gpg`

export const backportsOf = ({ codename }: Distribution): string => `${codename}-backports`

/** Debian's name for what comes after the next release; only there is a source that is new enough to be worth building. */
export const newestOf = ({ origin }: Distribution): string | null => (origin === 'Debian' ? 'sid' : null)

/** A line of a `sources.list`. */
export function sourceLine(
  { uri, component }: Distribution,
  kind: 'deb' | 'deb-src',
  suite: string,
  keyring: string | null,
): string {
  const signed = keyring === null ? '' : `[signed-by=${keyring}] `
  return `${kind} ${signed}${uri} ${suite} ${component}\n`
}

export interface SourcePackage {
  readonly version: string
  readonly debianVersion: string
}

/** The versions in the answer of `apt-cache showsrc`, each once. */
export function parseSources(answer: string, versionOf: (debianVersion: string) => string): SourcePackage[] {
  const found = new Set(Array.from(answer.matchAll(/^Version: (\S+)$/gm), ([, version = '']) => version))
  return [...found].map((debianVersion) => ({ debianVersion, version: versionOf(debianVersion) }))
}
