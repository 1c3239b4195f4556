/** Values to bytes and back. */
export interface Codec {
  /** Written into every entry: 1 JSON, 2 msgpack, 3 v8; your own from 128 to 255. */
  readonly id: number
  readonly name: string
  /** Throws for what it cannot hold. */
  encode(value: unknown): Buffer
  /** Throws for bytes that it did not write. Must not trust them. */
  decode(bytes: Buffer): unknown
}
