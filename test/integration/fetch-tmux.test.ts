/** The real fetch of a terminal for the tests: apt, its package sources, and a tmux that runs afterwards. */
import { expect, test } from 'vitest'
import { programsHome } from '../support/engines.ts'
import { findTmux, Terminal } from '../support/tmux.ts'

test('where no tmux is installed, one is fetched, and is a terminal', { timeout: 300_000 }, async () => {
  // apt-get and dpkg-deb are where the system has them; a tmux beside them is passed over.
  const tmux = await findTmux('')
  expect(tmux.program.startsWith(programsHome)).toBe(true)
  const terminal = new Terminal(tmux)
  terminal.start('read line; echo "heard $line"; sleep 60', {})
  try {
    terminal.type('hello')
    terminal.type('Enter')
    await terminal.see(/^heard hello$/m)
  } finally {
    terminal.close()
  }
  // The second time it is there.
  expect(await findTmux('')).toEqual(tmux)
})
