/** A machine that has joined, as a person reads it. */
import type { HostFacts } from '@holdfast/core'
import { formatBytes, formatInstant } from '@holdfast/core'
import type { HostLooked } from '../hosts/desk.ts'

/** What it is, then what of it will hurt, each with what to do about it. */
export function hostText({ facts, findings, ...host }: HostLooked): string {
  const { name, state, zone, region, address, port, joinedAt, carries } = host
  const places = [zone === '' ? '' : `zone ${zone}`, region === '' ? '' : `region ${region}`].filter(Boolean)
  return [
    [name, state, ...places].join('   '),
    line('agent', [`${address}:${port}`, `joined ${formatInstant(joinedAt)}`]),
    line('carries', carries.length === 0 ? ['nothing'] : carries),
    ...(facts === null ? ['', 'what the machine is, its agent does not say now'] : machine(facts)),
    ...findings.flatMap(({ about, because, todo }) => ['', `${about}: ${because}`, `  do: ${todo}`]),
  ].join('\n')
}

function machine({ kernel, cores, memoryBytes, limits, disk, swap, openFiles, packages, usage }: HostFacts): string[] {
  const { cpu, memoryFreeBytes } = usage
  return [
    line('kernel', [kernel]),
    line('cores', [`${cores}`, limited(limits.cores, String), cpu === null ? '' : `${Math.round(cpu * 100)} % used`]),
    line('memory', [size(memoryBytes), limited(limits.memoryBytes, formatBytes), free(memoryFreeBytes)]),
    line('swap', [swap === null ? 'none' : size(swap.totalBytes), swap === null ? '' : `${size(swap.usedBytes)} used`]),
    line('disk', [size(disk?.totalBytes), free(disk?.freeBytes), disk?.readOnly === true ? 'read-only' : '']),
    line('files', [openFiles === null ? unknown : `${openFiles} for each engine`]),
    line('engines', [packages.length === 0 ? 'none installed as a package' : packages.join(', ')]),
  ]
}

const unknown = 'not known'

const line = (title: string, said: readonly string[]): string =>
  `${title.padEnd(9)}${said.filter((one) => one !== '').join(', ')}`

const size = (bytes: number | null | undefined): string =>
  bytes === null || bytes === undefined ? unknown : formatBytes(bytes)

const free = (bytes: number | null | undefined): string =>
  bytes === null || bytes === undefined ? '' : `${formatBytes(bytes)} free`

const limited = (limit: number | null, print: (value: number) => string): string =>
  limit === null ? '' : `${print(limit)} allowed by its control group`
