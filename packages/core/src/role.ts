/**
 * What somebody may do, and where. `viewer` looks, `operator` changes what can be put right again, `admin` also does
 * what cannot: deletes, restores, breaks things on purpose, reads passwords, lets others in. Each may do all that the
 * one before may.
 */
export const roles = ['viewer', 'operator', 'admin'] as const

export type Role = (typeof roles)[number]

/** A role on one deployment, or, with `deployment` null, on all of them and on what belongs to none. */
export interface Grant {
  readonly role: Role
  readonly deployment: string | null
}

/** The highest role on a deployment, whether it exists or not; with null, the one that holds everywhere. */
export function roleOn(grants: readonly Grant[], deployment: string | null): Role | null {
  const held = grants.filter((grant) => grant.deployment === null || grant.deployment === deployment)
  return roles.findLast((role) => held.some((grant) => grant.role === role)) ?? null
}

export const mayAs = (held: Role | null, needed: Role): boolean =>
  held !== null && roles.indexOf(held) >= roles.indexOf(needed)

/** Which deployments somebody sees: those of this list, or, with null, all of them. */
export function visibleTo(grants: readonly Grant[]): readonly string[] | null {
  if (roleOn(grants, null) !== null) return null
  return [...new Set(grants.flatMap(({ deployment }) => deployment ?? []))].sort()
}

/** The same grants with another role in one place; null takes it away. */
export function regrant(grants: readonly Grant[], deployment: string | null, role: Role | null): readonly Grant[] {
  const others = grants.filter((grant) => grant.deployment !== deployment)
  return role === null ? others : [...others, { role, deployment }]
}

/** `viewer, admin of shop` */
export const describeGrants = (grants: readonly Grant[]): string =>
  grants.length === 0
    ? 'nothing'
    : grants.map(({ role, deployment }) => (deployment === null ? role : `${role} of ${deployment}`)).join(', ')
