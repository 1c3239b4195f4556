/**
 * How apt is asked, and what its answers mean, without running it. Three questions lead to an engine: which version is
 * the candidate (`policy`), which packages it needs beyond those the machine has (`install --print-uris`, apt's own
 * resolver on the system's package status), and `download`, which checks apt's signatures and hashes. Nothing is
 * installed, so neither root nor the system's locks are needed.
 */

import type { WantedEngine } from './engine-binary.ts'
import { type EngineVersion, type Flavor, fitOf, upstreamVersion } from './version.ts'

/** Where apt works. Everything that it writes goes to `workDir`. */
export interface AptPlace {
  readonly workDir: string
  /** `system` are the package lists that the machine has; `own` are those below `workDir`, just read. */
  readonly lists: 'system' | 'own'
  /** A file that takes the place of the machine's `sources.list`. Default: that one. */
  readonly sources?: {
    readonly file: string
    /** Whether the machine's other files of sources count as well. */
    readonly withMachines: boolean
  }
}

export interface Candidate extends EngineVersion {
  readonly package: string
  /** With epoch and revision, as apt wants to hear it again. */
  readonly debianVersion: string
}

/** What is asked for by its name: an engine of one version, or a program as apt would install it. */
export type Parcel = Candidate | { readonly package: string; readonly debianVersion: null }

const programsOf = (parcel: Parcel): readonly string[] =>
  'flavor' in parcel ? [parcel.package, `${parcel.flavor}-tools`] : [parcel.package]

export interface Download {
  readonly package: string
  /** `libjemalloc2:amd64=5.3.0-1`: exactly this one. */
  readonly selector: string
  readonly sizeBytes: number
}

const systemStatus = '/var/lib/dpkg/status'

export function aptOptions(place: AptPlace): string[] {
  const own: Record<string, string> = {
    'Dir::State': place.workDir,
    'Dir::State::lists': listsDir(place.workDir),
  }
  const options = {
    ...(place.lists === 'own' ? own : {}),
    ...sourceOptions(place),
    'Dir::State::status': systemStatus,
    'Dir::Cache': place.workDir,
    'Dir::Cache::archives': 'archives/',
    // Containers often switch it off; without it each of the questions reads all lists again.
    'Dir::Cache::pkgcache': 'pkgcache.bin',
    // This one would hold the same once more, for when the machine's packages change.
    'Dir::Cache::srcpkgcache': '',
    // The only files written are ours, and the system's locks belong to its administrator.
    'Debug::NoLocking': 'true',
    // As root, apt would hand the download to a user who may not enter our home.
    'APT::Sandbox::User': 'root',
    'APT::Install-Recommends': 'false',
    'Acquire::http::Timeout': '20',
    'Acquire::https::Timeout': '20',
  }
  return Object.entries(options).flatMap(([name, value]) => ['-o', `${name}=${value}`])
}

function sourceOptions({ sources }: AptPlace): Record<string, string> {
  if (sources === undefined) return {}
  const alone = sources.withMachines ? {} : { 'Dir::Etc::sourceparts': '/dev/null' }
  return { 'Dir::Etc::sourcelist': sources.file, ...alone }
}

const listsDir = (workDir: string): string => `${workDir}/lists/`

/** Directories that apt expects to find. */
export const aptDirectories = (workDir: string): string[] => [
  `${workDir}/archives/partial`,
  `${listsDir(workDir)}partial`,
]

/** The settings file of `updateArgs`: what an option on the command line can only add to. */
export const updateSettings = `// A machine's hooks on reading lists tidy the system's own; these lists are none of their business.
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
// Of all that a machine may want to read (translations, contents, icons, sources), an engine needs the packages.
// Of a source of source code, which is read alone and only for a build, it needs what there is to download.
#clear Acquire::IndexTargets;
Acquire::IndexTargets::deb::Packages {
  MetaKey "$(COMPONENT)/binary-$(ARCHITECTURE)/Packages";
  flatMetaKey "Packages";
  ShortDescription "Packages";
  Description "$(RELEASE)/$(COMPONENT) $(ARCHITECTURE) Packages";
  flatDescription "$(RELEASE) Packages";
  Optional "0";
};
Acquire::IndexTargets::deb-src::Sources {
  MetaKey "$(COMPONENT)/source/Sources";
  flatMetaKey "Sources";
  ShortDescription "Sources";
  Description "$(RELEASE)/$(COMPONENT) Sources";
  flatDescription "$(RELEASE) Sources";
  Optional "0";
};
`

export const policyArgs = (place: AptPlace): string[] => [
  'policy',
  ...aptOptions(place),
  'valkey-server',
  'redis-server',
]

export const updateArgs = (place: AptPlace, settingsFile: string): string[] => [
  'update',
  '-q',
  '-c',
  settingsFile,
  ...aptOptions(place),
  '-o',
  'Acquire::Languages=none',
  '-o',
  'Acquire::GzipIndexes=true',
]

/**
 * `--reinstall`, because an engine of which the machine has only the tools would otherwise be fetched without them, and
 * the server is a link to one of the tools. `status` is the system's, or an empty file: a machine in the middle of a
 * broken upgrade makes the resolver refuse everything, and then all libraries are fetched.
 */
export const resolveArgs = (place: AptPlace, wanted: Parcel, status: 'system' | 'empty'): string[] => [
  'install',
  '--reinstall',
  '--print-uris',
  '-y',
  '-qq',
  ...aptOptions(place),
  ...(status === 'system' ? [] : ['-o', 'Dir::State::status=/dev/null']),
  ...programsOf(wanted).map((name) => (wanted.debianVersion === null ? name : `${name}=${wanted.debianVersion}`)),
]

export const downloadArgs = (place: AptPlace, downloads: readonly Download[]): string[] => [
  'download',
  '-q',
  ...aptOptions(place),
  ...downloads.map((download) => download.selector),
]

export const unpackArgs = (debFile: string, directory: string): string[] => ['-x', debFile, directory]

/**
 * What the answer of `apt-cache policy` offers, Valkey first. Of each package first the candidate, which apt would
 * install, then other versions: a source such as backports is only taken from when it is asked for.
 */
export function parseCandidates(answer: string): Candidate[] {
  const flavors: readonly Flavor[] = ['valkey', 'redis']
  return flavors.flatMap((flavor) => {
    const section = new RegExp(`^${flavor}-server:\\n((?:  .*(?:\\n|$))*)`, 'm').exec(answer)?.[1] ?? ''
    const candidate = /^  Candidate: (\S+)$/m.exec(section)?.[1]
    if (candidate === undefined || candidate === '(none)') return []
    const table = Array.from(section.matchAll(/^ (?: {4}|\*{3} )(\S+) -?\d+$/gm), ([, version = '']) => version)
    const offers = [candidate, ...table].map((debianVersion): Candidate => {
      return { flavor, package: `${flavor}-server`, version: upstreamVersion(debianVersion), debianVersion }
    })
    return offers.filter((offer, index) => offers.findIndex(({ version }) => version === offer.version) === index)
  })
}

/** Which one to fetch: the first that is wanted and young enough. */
export function chooseCandidate(candidates: readonly Candidate[], wanted: WantedEngine): Candidate | undefined {
  return candidates.find((candidate) => fitOf(candidate, wanted) === 'fits')
}

/**
 * What to download of the answer of `--print-uris`: the engine and libraries. Packages that prepare a system service
 * are left out, since there is none; so is the C library, because a private one would not match the system's loader.
 */
export function parseDownloads(answer: string, wanted: Parcel): Download[] {
  const programs = programsOf(wanted)
  return answer
    .split('\n')
    .map(parseDownload)
    .filter((download) => download !== null)
    .filter((download) => programs.includes(download.package) || isLibrary(download.package))
}

/** `'http://…' redis-tools_5%3a7.0.15-1~deb12u10_amd64.deb 991988 MD5Sum:…`. The file's name tells the three parts. */
function parseDownload(line: string): Download | null {
  const [, name, version, architecture, size] = /^'[^']*' ([^_ ]+)_([^_ ]+)_([^_ ]+)\.deb (\d+)/.exec(line) ?? []
  if (name === undefined || version === undefined || architecture === undefined) return null
  const exactly = architecture === 'all' ? name : `${name}:${architecture}`
  return { package: name, selector: `${exactly}=${decodeURIComponent(version)}`, sizeBytes: Number(size) }
}

/** Debian also builds the engine with Lua modules that it packs as shared libraries. */
const isLibrary = (name: string): boolean =>
  /^(lib|zlib|lua)/.test(name) && !/^lib(c\d|c-|perl)|-(dev|perl|bin|doc)$/.test(name)
