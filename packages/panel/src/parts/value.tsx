import type { ComponentChildren } from 'preact'

/** What was not seen is said to be unknown: it never looks like a zero. */
export const Unknown = () => <span class="unknown">unknown</span>

/** There is nothing to know here, such as the lag of a primary. */
export function None() {
  return (
    <span class="none">
      <span aria-hidden="true">–</span>
      <span class="only-heard">none</span>
    </span>
  )
}

export function Value({ of, format }: { of: number | null; format: (value: number) => ComponentChildren }) {
  return of === null ? <Unknown /> : <>{format(of)}</>
}
