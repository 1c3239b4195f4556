import { engineUsers } from '@holdfast/core'
import { EngineLink } from '../../engine/link.ts'

/** A connection to one engine as the user who may do everything. */
export function adminLink(
  { host, port }: { readonly host: string; readonly port: number },
  secrets: Readonly<Record<string, string>>,
): EngineLink {
  const password = secrets[engineUsers.admin] ?? ''
  return new EngineLink({ address: host, port, username: engineUsers.admin, password, name: 'holdfast-fault' })
}
