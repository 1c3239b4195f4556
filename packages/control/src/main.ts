#!/usr/bin/env node
// Before all that makes the room grow.
import './small-heap.ts'
import './empty-core-dumps.ts'
import { runProgram } from './cli/program.ts'

process.exitCode = await runProgram(process.argv.slice(2))
