/** How many events one question answers where it does not say. */
export const eventsAtOnce = 1000

/** How many events are kept: months of a calm deployment, and some 30 MB on disk. */
export const eventsKept = 100_000
