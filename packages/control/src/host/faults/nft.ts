import { spawn } from 'node:child_process'
import { text } from 'node:stream/consumers'

const answerWithinMs = 5000

/** Has the kernel's packet filter do all of this or nothing. Throws with its words. */
export async function nft(rules: string): Promise<void> {
  const child = spawn('nft', ['-f', '-'], { stdio: ['pipe', 'ignore', 'pipe'], timeout: answerWithinMs })
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', resolve)
  })
  child.stdin.on('error', () => {})
  child.stdin.end(`${rules}\n`)
  const [code, said] = await Promise.all([ended, text(child.stderr)])
  if (code !== 0) throw new Error(said.trim().split('\n')[0] ?? `nft ended with ${code}`)
}
