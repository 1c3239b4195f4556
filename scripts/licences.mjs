/**
 * What is installed with Holdfast, or built into it, may be used by everybody who may use Holdfast: the licence of every
 * package that the lockfile has for production is one of these. And whether the registry knows of a hole in one of them.
 */
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const allowed = new Set([
  'MIT',
  'ISC',
  'Apache-2.0',
  'BSD-2-Clause',
  'BSD-3-Clause',
  '0BSD',
  'BlueOak-1.0.0',
  'Python-2.0',
])
const root = fileURLToPath(new URL('..', import.meta.url))
const { packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8'))

const installed = Object.entries(packages).filter(
  ([path, { dev, link }]) => path.includes('node_modules/') && dev !== true && link !== true,
)
const unfit = installed.filter(([, { license }]) => !isAllowed(license))
for (const [path, { version, license }] of unfit) {
  console.error(`${path.replace(/^.*node_modules\//, '')} ${version}: ${license ?? 'no licence is named'}`)
}
console.log(`licences: ${installed.length - unfit.length} of ${installed.length} packages may be used by everybody`)
const isFound = audit()
process.exitCode = unfit.length > 0 || isFound ? 1 : 0

/** `(MIT OR GPL-3.0)`: one of them is enough; `MIT AND ISC`: each must do. */
function isAllowed(license = '') {
  const plain = license.replace(/[()]/g, '')
  return plain.split(' OR ').some((choice) => choice.split(' AND ').every((one) => allowed.has(one.trim())))
}

/** Whether the registry knows of a hole of weight. Where it cannot be asked, nothing is known, and that is said. */
function audit() {
  const { stdout } = spawnSync('npm', ['audit', '--omit=dev', '--json'], {
    cwd: root,
    encoding: 'utf8',
    timeout: 60_000,
  })
  const counts = countsIn(stdout)
  if (counts === undefined) {
    console.log('audit: the registry answers no questions about holes here, so nobody looked')
    return false
  }
  console.log(`audit: ${counts.high + counts.critical} of weight, ${counts.moderate + counts.low} others`)
  return counts.high + counts.critical > 0
}

function countsIn(text) {
  try {
    return JSON.parse(text).metadata?.vulnerabilities
  } catch {
    return undefined
  }
}
