/** Which hosts carry the members of etcd, as it is said once and kept in the home of each agent. */
import { existsSync, readFileSync } from 'node:fs'
import { isIP } from 'node:net'
import { join } from 'node:path'
import { HoldfastError } from '@holdfast/core'
import { z } from 'zod'
import { writeAtomically } from '../../write-file.ts'
import { onDisk } from '../disk-error.ts'
import type { EtcdSeat } from './member.ts'

const portDefault = 2379
const membersMax = 7

/**
 * Reads `a=10.0.0.1,b=10.0.0.2,c=10.0.0.3`, each perhaps with a port (`:2379`); its members speak to each other on the
 * next one. Throws USAGE for what is none, and for one in which `host` is not.
 */
export function parseEtcdSeats(text: string, host: string): EtcdSeat[] {
  const seats = text.split(',').map(seatIn)
  const names = new Set(seats.map(({ name }) => name))
  if (names.size !== seats.length || seats.length > membersMax) throw unread(text)
  if (!names.has(host)) {
    throw new HoldfastError('USAGE', `--etcd: this host is ${host}, and ${[...names].join(', ')} are named`, { host })
  }
  return seats
}

const shape = z.array(z.strictObject({ name: z.string(), address: z.string(), clientPort: z.int(), peerPort: z.int() }))

/** Undefined: this host carries none. */
export function readEtcdSeats(directory: string): EtcdSeat[] | undefined {
  const path = join(directory, 'seats.json')
  if (!existsSync(path)) return undefined
  try {
    return shape.parse(JSON.parse(readFileSync(path, 'utf8')))
  } catch (error) {
    const because = `${path} is damaged: it says which hosts carry etcd. Say it again with "holdfast agent --etcd".`
    throw new HoldfastError('REFUSED_UNSAFE', because, { path }, error)
  }
}

export function writeEtcdSeats(directory: string, seats: readonly EtcdSeat[]): void {
  const path = join(directory, 'seats.json')
  onDisk(path, () => writeAtomically(path, `${JSON.stringify(seats, null, 2)}\n`))
}

function seatIn(text: string): EtcdSeat {
  const [, name, bracketed, plain, port] =
    /^([a-z][a-z0-9-]*)=(?:\[([^\]]+)\]|([^:]+))(?::(\d+))?$/.exec(text.trim()) ?? []
  const address = bracketed ?? plain ?? ''
  const clientPort = port === undefined ? portDefault : Number(port)
  if (name === undefined || isIP(address) === 0 || clientPort < 1 || clientPort > 65_534) throw unread(text)
  return { name, address, clientPort, peerPort: clientPort + 1 }
}

const unread = (text: string): HoldfastError =>
  new HoldfastError(
    'USAGE',
    `--etcd ${text.slice(0, 200)}: the hosts that carry etcd by their names and addresses, as a=10.0.0.1,b=10.0.0.2,c=10.0.0.3; three or five of them`,
  )
