import { homedir } from 'node:os'
import { isAbsolute, join } from 'node:path'

/** Below which what took long to make is kept for all homes of this user. A relative XDG_CACHE_HOME does not count. */
export function userCache(env: Readonly<Record<string, string | undefined>>, home = homedir()): string {
  const wanted = env['XDG_CACHE_HOME'] ?? ''
  return join(isAbsolute(wanted) ? wanted : join(home, '.cache'), 'holdfast')
}
