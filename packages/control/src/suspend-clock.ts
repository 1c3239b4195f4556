import { uptime } from 'node:os'

/**
 * Monotonic milliseconds of this boot, to a hundredth of a second, that go on while the machine is suspended: as long as
 * it sleeps others act, and the clock of its processes stands still.
 */
export const suspendClock = (): number => uptime() * 1000
