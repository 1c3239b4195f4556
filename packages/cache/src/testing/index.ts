/** For the tests of applications: an engine in memory, a clock that a test moves, and faults on demand. */
export { Faults, type Where } from './faults.ts'
export { HandClock, type HandClockOptions } from './hand-clock.ts'
export { MemoryEngine } from './memory-engine.ts'
export { type ConnectOptions, MemoryServer, type MemoryServerOptions, memoryEngine } from './memory-server.ts'
