import type { Clock } from '../clock.ts'

/** 104 bits of chance and the time: unique wherever clocks and chance are. */
export function newId(clock: Clock): string {
  const chance = Array.from({ length: 2 }, () => Math.floor(clock.random() * 2 ** 52).toString(36))
  return `${clock.now().toString(36)}-${chance.join('')}`
}
