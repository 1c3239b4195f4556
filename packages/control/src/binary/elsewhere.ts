import type { WantedEngine } from './engine-binary.ts'

/** What to type where Holdfast cannot fetch an engine by itself, by the ID of os-release or Node's name of the platform. */
const installers: Readonly<Record<string, string>> = {
  darwin: 'brew install',
  freebsd: 'sudo pkg install',
  alpine: 'sudo apk add',
  arch: 'sudo pacman -S',
  debian: 'sudo apt-get install',
  ubuntu: 'sudo apt-get install',
  fedora: 'sudo dnf install',
  rhel: 'sudo dnf install',
  centos: 'sudo dnf install',
  amzn: 'sudo dnf install',
  suse: 'sudo zypper install',
  void: 'sudo xbps-install',
}

/** Debian alone puts the server into a package of its own, and its older releases have only Redis. */
const debianLike: ReadonlySet<string> = new Set(['debian', 'ubuntu'])

/** The one command that puts an engine on the PATH of this system, or null where we know none. */
export function installCommand(system: readonly string[], wanted: WantedEngine): string | null {
  const known = system.find((id) => Object.hasOwn(installers, id))
  if (known === undefined) return null
  const debian = debianLike.has(known)
  const flavor = wanted.flavor !== 'auto' ? wanted.flavor : debian ? 'redis' : 'valkey'
  return `${installers[known]} ${debian ? `${flavor}-server` : flavor}`
}

/** What this system may be called, the most exact name first: Node's platform, then ID and ID_LIKE of os-release. */
export function systemNames(platform: string, osRelease: string): string[] {
  const field = (key: string): string[] =>
    (new RegExp(`^${key}=(.*)$`, 'm').exec(osRelease)?.[1] ?? '')
      .replaceAll(/["']/g, '')
      .split(' ')
      .filter((word) => word !== '')
  return [platform, ...field('ID'), ...field('ID_LIKE')]
}
