import type { Lease, LeaseClaim } from './store.ts'

/** What is known of a lease when somebody claims it. */
export interface LeaseFound extends Lease {
  readonly released: boolean
}

/**
 * Who holds the lease after this claim. The holder renews within its epoch, also late: nobody else took it meanwhile.
 * Whenever it changes hands the epoch rises, so that the earlier holder's orders can be told from the new one's.
 */
export function nextLease(found: LeaseFound | undefined, { holder, now, forMs }: LeaseClaim): Lease {
  if (found === undefined) return { holder, epoch: 1, until: now + forMs }
  if (!found.released && found.holder === holder) return { holder, epoch: found.epoch, until: now + forMs }
  if (found.released || found.until <= now) return { holder, epoch: found.epoch + 1, until: now + forMs }
  return { holder: found.holder, epoch: found.epoch, until: found.until }
}
