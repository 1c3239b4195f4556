#!/usr/bin/env node
// Apart from what is built, because npm links a program when it installs, and in a clone that is before the first build.
import { existsSync } from 'node:fs'

const main = new URL('../dist/main.js', import.meta.url)
if (existsSync(main)) await import(main.href)
else {
  console.error('Holdfast is not built yet. Run: npm run build')
  process.exitCode = 1
}
