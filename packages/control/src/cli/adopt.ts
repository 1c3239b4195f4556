import { createInterface } from 'node:readline/promises'
import { Writable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { parseForeignAddress } from '@holdfast/core'
import { withApi } from './connect.ts'
import type { Context } from './context.ts'

export interface AdoptOptions {
  readonly name?: string
  readonly user?: string
}

const passwordVariable = 'HOLDFAST_ADOPT_PASSWORD'

/** `holdfast adopt URL`: watches what somebody else runs, and never acts on it. With `-` the address is read from stdin. */
export async function adopt(context: Context, where: string, { name, user }: AdoptOptions): Promise<void> {
  const fromStdin = where === '-'
  const url = fromStdin ? (await text(process.stdin)).trim() : where
  const { secrets } = parseForeignAddress(url)
  if (!fromStdin && (secrets.engine !== '' || secrets.sentinel !== '')) {
    context.say(
      `The password stood in the command line, where others on this machine can read it: say it by ${passwordVariable}, or the whole address on stdin ("holdfast adopt -").`,
    )
  }
  const password = secrets.engine === '' ? await passwordFor(context, fromStdin) : undefined
  await withApi(context, { acts: false }, async (api, isBorrowed) => {
    const wish = { url, ...(name === undefined ? {} : { name }), ...(user === undefined ? {} : { user }) }
    const adopted = await api.adopt({ ...wish, ...(password === undefined ? {} : { password }) })
    context.say(`${adopted.because}.`)
    context.say(
      isBorrowed
        ? 'No controller runs, so nobody watches it yet: "holdfast serve" does.'
        : `"holdfast status ${adopted.name}" shows it; "holdfast down ${adopted.name} --purge" forgets it and touches nothing there.`,
    )
    context.out(adopted.name)
  })
}

async function passwordFor(context: Context, fromStdin: boolean): Promise<string | undefined> {
  const given = process.env[passwordVariable]
  if (given !== undefined) return given
  if (fromStdin || !context.isInteractive) return undefined
  process.stderr.write('Its password (Enter where it has none): ')
  const silent = new Writable({ write: (_chunk, _encoding, done) => done() })
  const terminal = createInterface({ input: process.stdin, output: silent, terminal: true })
  try {
    const typed = await terminal.question('')
    return typed === '' ? undefined : typed
  } finally {
    terminal.close()
    process.stderr.write('\n')
  }
}
