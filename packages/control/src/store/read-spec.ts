import { closeSync, openSync, readSync } from 'node:fs'
import { HoldfastError } from '@holdfast/core'
import type { YAMLMap } from 'yaml'
import { isAlias, isCollection, isMap, isScalar, LineCounter, parseDocument, visit } from 'yaml'

/** A spec of a thousand hosts stays far below this. */
const specBytesMax = 256 * 1024

/** The deepest spec has 4 levels; what is deeper is not a spec, and would only exhaust the stack. */
const depthMax = 20

/** Names that would reach into JavaScript's own objects. */
const forbiddenKeys = new Set(['__proto__', 'constructor', 'prototype'])

/** A YAML file as plain values, not checked against the spec yet. Throws SPEC_UNREADABLE with file:line:column. */
export function readSpecFile(path: string): unknown {
  return parseSpecText(readBounded(path), path)
}

/** The same for a text; `name` is what errors call it. */
export function parseSpecText(text: string, name: string): unknown {
  if (Buffer.byteLength(text) > specBytesMax) throw tooBig(name)
  const lines = new LineCounter()
  const at = (offset: number): string => {
    const { line, col } = lines.linePos(offset)
    return `${name}:${Math.max(line, 1)}:${Math.max(col, 1)}`
  }
  const refuse = (offset: number, sentence: string) =>
    new HoldfastError('SPEC_UNREADABLE', `${at(offset)}: ${sentence}`, { name, ...lines.linePos(offset) })

  const deep = tooDeepAt(text)
  if (deep !== undefined) {
    for (let index = text.indexOf('\n'); index !== -1; index = text.indexOf('\n', index + 1))
      lines.addNewLine(index + 1)
    throw refuse(deep, `nested more than ${depthMax} deep: a spec is not`)
  }
  const document = onStack(() =>
    parseDocument(text, { lineCounter: lines, prettyErrors: false, stringKeys: true, uniqueKeys: false }),
  )
  if (document === undefined) throw refuse(0, `nested more than ${depthMax} deep: a spec is not`)
  // What the parser only warns of, such as an unknown tag, would be a value other than the one written.
  const problem = document.errors[0] ?? document.warnings[0]
  if (problem !== undefined) throw refuse(problem.pos[0], explain(problem.code, problem.message))
  if (!isMap(document.contents))
    throw refuse(document.contents?.range?.[0] ?? 0, 'a spec is a list of "key: value" lines')

  visit(document, (_, node, path) => {
    if (path.length > 2 * depthMax) throw refuse(offsetOf(node), `nested more than ${depthMax} deep: a spec is not`)
    // Aliases of aliases multiply, so a few lines can stand for billions; and no spec is long enough to need one.
    if (isAlias(node)) throw refuse(offsetOf(node), 'an alias: write out what it stands for')
    if (isMap(node)) checkKeys(node, refuse)
  })
  return document.toJS()
}

/** The parser could look for duplicates itself, but compares each key with each: seconds for a file of keys. */
function checkKeys(map: YAMLMap, refuse: (offset: number, sentence: string) => HoldfastError): void {
  const seen = new Set<string>()
  for (const pair of map.items) {
    const key = isScalar(pair.key) ? String(pair.key.value) : ''
    if (forbiddenKeys.has(key)) throw refuse(offsetOf(pair.key), `"${key}" cannot be a key`)
    if (seen.has(key)) throw refuse(offsetOf(pair.key), 'this key is there twice')
    seen.add(key)
  }
}

/** Undefined if the work nested deeper than the stack. */
function onStack<T>(work: () => T): T | undefined {
  try {
    return work()
  } catch (error) {
    if (error instanceof RangeError) return undefined
    throw error
  }
}

function offsetOf(node: unknown): number {
  if (isScalar(node) || isCollection(node) || isAlias(node)) return node.range?.[0] ?? 0
  return 0
}

function explain(code: string, message: string): string {
  switch (code) {
    case 'MULTIPLE_DOCS':
      return 'a second document begins here: one file, one spec'
    case 'TAB_AS_INDENT':
      return 'a tab: YAML is indented with blanks'
    default:
      return message
  }
}

/**
 * Where the text nests too deep to be handed to the parser, whose own nesting would follow. It counts what may open a
 * level on one line: brackets, and the dashes and question marks that lines can begin with. Levels by indentation
 * alone cost a blank each, so the limit of bytes keeps them few.
 */
function tooDeepAt(text: string): number | undefined {
  let brackets = 0
  for (let index = 0; index < text.length; index++) {
    const char = text[index]
    if (char === '[' || char === '{') brackets++
    else if (char === ']' || char === '}') brackets = Math.max(0, brackets - 1)
    // A bracket in a text counts too: no sane value has that many unclosed.
    if (brackets > depthMax) return index
  }
  const dashes = new RegExp(`^[ \\t]*(?:[-?:][ \\t]+){${depthMax},}`, 'm').exec(text)
  return dashes?.index
}

function readBounded(path: string): string {
  try {
    const file = openSync(path, 'r')
    try {
      const buffer = Buffer.alloc(specBytesMax + 1)
      let length = 0
      for (let read = -1; read !== 0 && length < buffer.length; length += read) {
        read = readSync(file, buffer, length, buffer.length - length, null)
      }
      if (length > specBytesMax) throw tooBig(path)
      return new TextDecoder('utf-8', { fatal: true }).decode(buffer.subarray(0, length))
    } finally {
      closeSync(file)
    }
  } catch (error) {
    if (error instanceof HoldfastError) throw error
    throw new HoldfastError('SPEC_UNREADABLE', `${path}: ${whyUnread(error)}`, { name: path }, error)
  }
}

function whyUnread(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  switch (code) {
    case 'ENOENT':
      return 'there is no such file'
    case 'EACCES':
      return 'not allowed to read it'
    case 'EISDIR':
      return 'this is a directory: name a YAML file'
    case 'ERR_ENCODING_INVALID_ENCODED_DATA':
      return 'this is not a text in UTF-8'
    default:
      return error instanceof Error ? error.message : String(error)
  }
}

const tooBig = (name: string): HoldfastError =>
  new HoldfastError('SPEC_UNREADABLE', `${name}: larger than ${specBytesMax / 1024} KB: a spec is not`, { name })
