import { describe, expect, test } from 'vitest'
import type { Grant } from '../src/index.ts'
import { describeGrants, mayAs, regrant, roleOn, roles, visibleTo } from '../src/index.ts'

const everywhere = (role: Grant['role']): Grant => ({ role, deployment: null })
const on = (deployment: string, role: Grant['role']): Grant => ({ role, deployment })

describe('a role', () => {
  test('holds where it was given, and nowhere else', () => {
    expect(roleOn([on('shop', 'operator')], 'shop')).toBe('operator')
    expect(roleOn([on('shop', 'operator')], 'basket')).toBe(null)
    expect(roleOn([on('shop', 'operator')], null)).toBe(null)
    expect(roleOn([], 'shop')).toBe(null)
  })

  test('given everywhere also holds on each deployment, and the higher one counts', () => {
    expect(roleOn([everywhere('viewer')], 'shop')).toBe('viewer')
    expect(roleOn([everywhere('viewer'), on('shop', 'admin')], 'shop')).toBe('admin')
    expect(roleOn([on('shop', 'viewer'), everywhere('admin')], 'shop')).toBe('admin')
    expect(roleOn([everywhere('viewer'), on('shop', 'admin')], null)).toBe('viewer')
  })

  test('may all that the ones before it may', () => {
    for (const [at, held] of roles.entries()) {
      expect(roles.filter((needed) => mayAs(held, needed))).toEqual(roles.slice(0, at + 1))
    }
    expect(roles.some((needed) => mayAs(null, needed))).toBe(false)
  })
})

test('who has a role on some deployments sees those', () => {
  expect(visibleTo([on('shop', 'viewer'), on('basket', 'admin'), on('shop', 'admin')])).toEqual(['basket', 'shop'])
  expect(visibleTo([on('shop', 'viewer'), everywhere('viewer')])).toBe(null)
  expect(visibleTo([])).toEqual([])
})

test('one place has one role', () => {
  const grants = regrant(regrant([], null, 'viewer'), 'shop', 'admin')
  expect(describeGrants(grants)).toBe('viewer, admin of shop')
  expect(describeGrants(regrant(grants, 'shop', 'operator'))).toBe('viewer, operator of shop')
  expect(describeGrants(regrant(grants, null, null))).toBe('admin of shop')
  expect(describeGrants([])).toBe('nothing')
})
