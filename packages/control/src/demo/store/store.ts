/** What a shop keeps in its cache and beside it, whoever the client is. Two implementations, written as their users would. */
import type { Product } from '../goods.ts'

/** Something for a page, and how it was come by. */
export interface Served<T> {
  readonly value: T
  /** The database was asked for it, by this caller. */
  readonly asked: boolean
  /** It was in the memory of the process. */
  readonly local: boolean
  /** An old value, and known to be one. */
  readonly stale: boolean
}

export type Cart = Readonly<Record<string, number>>

export interface Session {
  readonly since: number
}

export interface ShopStore {
  product(id: string): Promise<Served<Product | undefined>>
  stock(id: string): Promise<Served<number>>
  /** The visitor's session; made where there is none. */
  session(visitor: string): Promise<Session>
  cart(visitor: string): Promise<{ readonly items: Cart; readonly stale: boolean }>
  /** Puts one piece in; done once for an operation. */
  addToCart(visitor: string, product: string, operation: string): Promise<void>
  /** Whether the client itself has found this product to be read more than others. */
  isHot(id: string): boolean
  close(): Promise<void>
}
