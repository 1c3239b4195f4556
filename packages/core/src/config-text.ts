/** The directives of a configuration file that Holdfast wrote, read back: name and value, as `CONFIG SET` takes it. */
import type { NodeFiles } from './action.ts'
import { maskedDirective } from './render-config.ts'

/** These may be there several times, and all of them count; of every other directive the last one does. */
const addsUp = new Set(['save', 'client-output-buffer-limit'])

/** Without the lines that hold a secret. */
export function readConfigText(text: string): Record<string, string> {
  const found: Record<string, string> = {}
  for (const line of text.split('\n')) {
    if (line.trim() === '' || line.trimStart().startsWith('#') || maskedDirective.test(line)) continue
    const [name, ...words] = Array.from(line.matchAll(/"((?:[^"\\]|\\.)*)"|(\S+)/g), ([, quoted, bare]) =>
      quoted === undefined ? (bare ?? '') : unescapeWord(quoted),
    )
    if (name === undefined) continue
    const value = words.join(' ')
    found[name] = addsUp.has(name) && found[name] !== undefined ? `${found[name]} ${value}` : value
  }
  return found
}

/** The same of rendered files, which do not change: the rules ask for it many times a turn. */
export function directivesOf(files: NodeFiles): Readonly<Record<string, string>> {
  const known = read.get(files)
  if (known !== undefined) return known
  const directives = readConfigText(files.config)
  read.set(files, directives)
  return directives
}

const read = new WeakMap<NodeFiles, Readonly<Record<string, string>>>()

const unescapeWord = (text: string): string =>
  text.replace(/\\(x([0-9a-f]{2})|.)/g, (_, char: string, hex?: string) =>
    hex === undefined ? char : String.fromCharCode(Number.parseInt(hex, 16)),
  )
