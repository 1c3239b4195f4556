/** What keeps an engine fenced, in its file: whoever starts it by that gets one that takes no writes. */
import { existsSync, readFileSync } from 'node:fs'
import { nodePaths } from '@holdfast/core'
import { writeWhole } from './identity-files.ts'

/** The directive by which an engine refuses writes, and goes on answering reads. */
export const fenceDirective = 'min-replicas-to-write'
/** More replicas than any engine has. */
export const fenceValue = '1000000'

const marker =
  '# Fenced: its host was cut off from all others. Holdfast lifts this; where it is gone, remove what follows.'
const fenced = `${marker}\n${fenceDirective} ${fenceValue}\n`

/** The text as it is without a fence. */
export function withoutFence(text: string): string {
  const at = text.indexOf(marker)
  return at < 0 ? text : text.slice(0, at)
}

/** The last word on a directive counts. */
export function fenceFile(nodeDir: string): void {
  change(nodeDir, (text) => (text.includes(marker) ? text : `${text}${text.endsWith('\n') ? '' : '\n'}${fenced}`))
}

export const liftFile = (nodeDir: string): void => change(nodeDir, withoutFence)

function change(nodeDir: string, edit: (text: string) => string): void {
  const path = nodePaths(nodeDir).config
  if (!existsSync(path)) return
  const text = readFileSync(path, 'utf8')
  const edited = edit(text)
  if (edited !== text) writeWhole(path, edited)
}
