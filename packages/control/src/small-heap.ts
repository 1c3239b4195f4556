/**
 * A controller makes little garbage and keeps little of what it makes. V8 lets the room for young objects grow to 32 MB
 * while a program starts, and never gives it back; here it stays at 2 MB.
 */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

setFlagsFromString('--semi-space-growth-factor=1')

// An agent stands beside engines that want the memory, and is asked little: it trades speed for room.
if (process.argv[2] === 'agent') setFlagsFromString('--optimize-for-size')

/** What was only needed to begin goes now, and not when the heap happens to be full. */
export function forgetTheStart(): void {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  collect()
}
