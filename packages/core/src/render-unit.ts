/**
 * A unit of systemd for a part of Holdfast. Nothing needs it: it starts the part at boot and again where it ends, and
 * leaves the engines alone when it stops it.
 */
export interface UnitTerms {
  readonly part: 'agent' | 'serve'
  /** HOLDFAST_HOME. */
  readonly home: string
  /** The user that it runs as, and its engines. */
  readonly user: string
  /** The program and what it is given, as it was called. */
  readonly command: readonly string[]
}

export const unitName = (part: UnitTerms['part']): string =>
  `holdfast-${part === 'serve' ? 'controller' : 'agent'}.service`

export function renderUnit({ part, home, user, command }: UnitTerms): string {
  const what = part === 'serve' ? 'Holdfast controller' : 'Holdfast agent'
  return `[Unit]
Description=${what} of ${escaped(home)}
After=network-online.target
Wants=network-online.target
StartLimitIntervalSec=0

[Service]
Type=exec
User=${escaped(user)}
Environment=${quoted(`HOLDFAST_HOME=${home}`)}
ExecStart=${[...command, part].map(argument).join(' ')}
Restart=always
RestartSec=1

# Only this process is ended: the engines that it has started run on, and the next start finds them.
KillMode=process
TimeoutStopSec=30

# For 10 000 clients of each engine, which inherits it. No dump: it would hold passwords.
LimitNOFILE=65536
LimitCORE=0
UMask=0077

# What engines inherit without harm. No private mounts, since those that outlive this must see the same files as the next
# start, and no ban on memory that is written and run, which Node needs.
NoNewPrivileges=yes
${user === 'root' ? '' : 'CapabilityBoundingSet=\n'}LockPersonality=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native

[Install]
WantedBy=multi-user.target
`
}

/** A line cannot be broken, and a percent sign begins a word of systemd's own. */
const escaped = (text: string): string => text.replaceAll(/[\r\n]/g, ' ').replaceAll('%', '%%')

const quoted = (text: string): string => `"${escaped(text).replaceAll(/["\\]/g, (sign) => `\\${sign}`)}"`

/** In a command a dollar sign would be a variable. */
const argument = (text: string): string => {
  const safe = text.replaceAll('$', '$$$$')
  return /^[\w./:@=+-]+$/.test(safe) ? safe : quoted(safe)
}
