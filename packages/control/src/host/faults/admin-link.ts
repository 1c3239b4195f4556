import { join } from 'node:path'
import { engineUsers } from '@holdfast/core'
import { EngineLink } from '../../engine/link.ts'
import { readAuthority } from '../identity-files.ts'
import type { FaultCase } from './fault-file.ts'

type Target = { readonly id: string; readonly host: string; readonly port: number }

/** A connection to one engine as the user who may do everything. */
export function adminLink(target: Target, fault: Pick<FaultCase, 'scene' | 'secrets'>): EngineLink {
  const { id, host: address, port } = target
  const password = fault.secrets[engineUsers.admin] ?? ''
  const authority = (): string | null => authorityOf(id, fault)
  return new EngineLink({ address, port, username: engineUsers.admin, password, authority, name: 'holdfast-fault' })
}

/** Whom to believe that it is this engine; null: it is spoken to in clear. All of a deployment have one, and some are elsewhere. */
export function authorityOf(id: string, { scene }: Pick<FaultCase, 'scene'>): string | null {
  for (const node of [id, ...scene.nodes.map((one) => one.id)]) {
    const authority = readAuthority(join(scene.deploymentDir, node))
    if (authority !== null) return authority
  }
  return null
}
