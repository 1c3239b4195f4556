import { userInfo } from 'node:os'
import { fileURLToPath } from 'node:url'
import { renderUnit, type UnitTerms, unitName } from '@holdfast/core'
import type { Context } from './context.ts'

/** `holdfast agent install` and `holdfast serve install`: stdout is a unit of systemd, stderr says where it belongs. */
export async function unit(
  context: Context,
  part: UnitTerms['part'],
  { user }: { readonly user?: string },
): Promise<void> {
  const runsAs = user ?? userInfo().username
  const command = [process.execPath, fileURLToPath(new URL('../main.js', import.meta.url))]
  context.out(renderUnit({ part, home: context.home.path, user: runsAs, command }).trimEnd())
  const name = unitName(part)
  context.say(
    `as root: write this to /etc/systemd/system/${name}, then "systemctl daemon-reload" and "systemctl enable --now ${name}"`,
  )
  context.say(
    `it runs as ${runsAs}, who must own ${context.home.path}; without systemd anything that starts it again will do`,
  )
}
