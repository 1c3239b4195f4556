import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import * as fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { stringify } from 'yaml'
import { parseSpecText, readSpecFile } from '../../src/store/read-spec.ts'
import { codeOf } from './store.contract.ts'
import { temporaryDirectory } from './temporary-home.ts'

const parse = (text: string): unknown => parseSpecText(text, 'shop.yaml')

describe('a spec in YAML', () => {
  test('comes out as plain values', () => {
    expect(parse('name: shop # it sells\nshardOverrides: { 1: { replicas: 2 } }\nfullCoverage: no\nshards: 3')).toEqual(
      {
        name: 'shop',
        shardOverrides: { '1': { replicas: 2 } },
        fullCoverage: 'no',
        shards: 3,
      },
    )
  })

  test('whatever was written as YAML is read as it was', () => {
    const value = fc.oneof(fc.string(), fc.integer(), fc.boolean(), fc.constant(null))
    const key = fc
      .stringMatching(/^[a-z][a-zA-Z0-9]{0,12}$/)
      .filter((name) => name !== 'constructor' && name !== 'prototype')
    const spec = fc.dictionary(key, fc.oneof(value, fc.array(value), fc.dictionary(key, value)), { minKeys: 1 })
    fc.assert(
      fc.property(spec, (written) => {
        expect(parse(stringify(written, { aliasDuplicateObjects: false }))).toEqual(written)
      }),
    )
  })

  const bombLevels = ['ba', 'cb', 'dc', 'ed', 'fe', 'gf', 'hg', 'ih'].map(
    (pair) => `${pair[0]}: &${pair[0]} [${Array(9).fill(`*${pair[1]}`).join(',')}]\n`,
  )

  test.each([
    ['nothing', '', '1:1: a spec is a list of'],
    ['a list', '- name: shop', '1:1: a spec is a list of'],
    ['a word', 'shop', '1:1: a spec is a list of'],
    ['a key twice', 'name: a\nshards: 3\nname: b', '3:1: this key is there twice'],
    ['a key twice further in', 'memory:\n  policy: a\n  policy: b', '3:3: this key is there twice'],
    ['a second document', 'name: a\n---\nname: b', '2:1: a second document begins here'],
    ['a prototype', 'memory:\n  __proto__: { polluted: yes }', '2:3: "__proto__" cannot be a key'],
    ['a prototype in quotes', '"__proto__": 1', '1:1: "__proto__" cannot be a key'],
    ['a prototype in disguise', '"\\u005f_proto__": 1', '1:1: "__proto__" cannot be a key'],
    ['a prototype by an alias', 'a: &x __proto__\n*x : { polluted: yes }', '2:1: '],
    ['a constructor', 'constructor: 1', '1:1: "constructor" cannot be a key'],
    ['an alias', 'a: &a 1\nb: *a', '2:4: an alias: write out'],
    ['an alias to itself', 'a: &a [*a]', '1:8: an alias: write out'],
    ['a bomb', `a: &a [x,x,x]\n${bombLevels.join('')}`, '2:8: an alias: write out'],
    ['a tag', 'a: !!js/function "x"', '1:4: Unresolved tag'],
    ['a key that is no word', '? { a: 1 }\n: 2', '1:3: '],
    ['a tab', 'memory:\n\tpolicy: x', '2:1: a tab: YAML is indented with blanks'],
    ['an open quote', 'name: "shop', '1:12: Missing closing'],
    ['a deep list', `a: ${'['.repeat(100_000)}`, '1:23: nested more than 20 deep'],
    ['deep dashes', `${'- '.repeat(100_000)}x`, '1:1: nested more than 20 deep'],
    ['deep dashes with anchors', `${'- &a '.repeat(50_000)}x`, '1:3: '],
    ['deep indentation', Array.from({ length: 500 }, (_, n) => `${' '.repeat(n)}a:\n`).join(''), 'nested more than 20'],
    ['too much', `a: ${'x'.repeat(300_000)}`, 'larger than 256 KB'],
  ])('%s is refused, with the place', (_, text, expected) => {
    expect(codeOf(() => parse(text))).toBe('SPEC_UNREADABLE')
    expect(() => parse(text)).toThrow(expected.startsWith('larger') ? `shop.yaml: ${expected}` : expected)
    expect(() => parse(text)).toThrow(/^shop\.yaml(:\d+:\d+)?: /)
  })

  test('leaves the prototype of everything alone', () => {
    expect(codeOf(() => parse('__proto__: { polluted: 1 }'))).toBe('SPEC_UNREADABLE')
    expect('polluted' in {}).toBe(false)
  })

  test('no text, however odd, does anything but be read or be refused', () => {
    const odd = fc.string({ unit: fc.constantFrom(...Array.from('-?:[]{},&*!|>\'"%@` \n\tab1~#')), maxLength: 60 })
    fc.assert(fc.property(odd, (text) => ['no error', 'SPEC_UNREADABLE'].includes(codeOf(() => parse(text)))))
  })
})

describe('a spec file', () => {
  let path: string
  let clean: () => void
  beforeEach(() => ({ path, clean } = temporaryDirectory()) && undefined)
  afterEach(() => clean())

  test('is read', () => {
    const file = join(path, 'shop.yaml')
    writeFileSync(file, '\uFEFFname: shop\r\n')
    expect(readSpecFile(file)).toEqual({ name: 'shop' })
  })

  test('is refused by its name where it cannot be read', () => {
    const binary = join(path, 'binary')
    writeFileSync(binary, Buffer.from([0x6e, 0xff, 0xfe]))
    mkdirSync(join(path, 'directory'))
    expect(() => readSpecFile(join(path, 'missing.yaml'))).toThrow('missing.yaml: there is no such file')
    expect(() => readSpecFile(join(path, 'directory'))).toThrow('directory: this is a directory')
    expect(() => readSpecFile(binary)).toThrow('binary: this is not a text in UTF-8')
    for (const name of ['missing.yaml', 'directory', 'binary']) {
      expect(
        codeOf(() => readSpecFile(join(path, name))),
        name,
      ).toBe('SPEC_UNREADABLE')
    }
  })

  test('without an end is not read to its end', () => {
    expect(() => readSpecFile('/dev/zero')).toThrow('/dev/zero: larger than 256 KB')
  })
})
