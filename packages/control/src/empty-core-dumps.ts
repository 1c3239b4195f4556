/**
 * The memory of a process that knows passwords is in no dump of it, and neither is that of the engines: what a dump holds
 * is inherited by every process that this one starts. Unlike the limit on its size, this also holds where the kernel
 * hands dumps to a program, as it does with systemd.
 */
import { writeFileSync } from 'node:fs'

try {
  writeFileSync('/proc/self/coredump_filter', '0')
} catch {
  // A kernel without this file was built without dumps.
}
