/**
 * Secrets that can be told from other text. Each that Holdfast makes begins with a mark of its own, so that whatever is
 * written can be searched for them: by the last guard before a log, by the tests, and by whoever looks after a machine.
 */

/** What is made of chance, as a secret. `chance`: at least 128 bits, in letters, digits, "-" and "_". */
export const markSecret = (chance: string): string => `hfs_${chance}`

/** Shorter than any that is made: a password that was cut off half-way is one still. */
const marked = /\bhfs_[\w-]{8,}/g
/** Written in one piece, or with its lines escaped as in JSON. */
const privateKey = /-----BEGIN ([A-Z ]*PRIVATE KEY)-----[\s\S]*?(-----END \1-----|$)/g
/** A scheme has an end: looked for without one, a long text of letters would be gone through from each of them. */
const inAddress = /(\b[a-z][a-z0-9+.()-]{0,40}:\/\/[^\s:@/"]*:)[^\s@/"]+@/gi

/** The text without its secrets. What it was about can still be read. */
export function hideSecrets(text: string): string {
  return text.replace(marked, 'hfs_****').replace(privateKey, '**** a private key ****').replace(inAddress, '$1****@')
}

/** The marked secrets and private keys that a text shows. */
export const secretsShown = (text: string): string[] => [
  ...(text.match(marked) ?? []),
  ...(text.match(privateKey) ?? []),
]
