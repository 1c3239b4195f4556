import { signal } from '@preact/signals'

/** The time of this browser, once a second, for what says how long ago something was. */
export const now = signal(Date.now())

setInterval(() => {
  now.value = Date.now()
}, 1000)
