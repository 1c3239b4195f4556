/** `70%`, `52.5%`: a share as it is written in a spec, exact enough that a limit and what is just above it differ. */
export const percent = (share: number): string => `${Number((share * 100).toFixed(1))}%`
