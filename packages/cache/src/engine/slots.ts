/** Which slot of a Cluster a key belongs to: CRC16 (XMODEM) of the key, or of its hash tag, in 14 bits. */
export const slotCount = 16_384

const table = Uint16Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 8
  for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1
  return crc
})

export function slotOf(key: string): number {
  let from = 0
  let to = key.length
  const open = key.indexOf('{')
  if (open !== -1) {
    const close = key.indexOf('}', open + 1)
    // Only the first pair of braces counts, and an empty one does not.
    if (close > open + 1) {
      from = open + 1
      to = close
    }
  }
  let crc = 0
  for (let index = from; index < to; index++) {
    const code = key.charCodeAt(index)
    // Slots are of bytes: beyond ASCII the text has to become UTF-8 first.
    if (code > 127) return slotOfBytes(Buffer.from(key.slice(from, to)))
    crc = ((crc << 8) & 0xffff) ^ (table[((crc >> 8) ^ code) & 0xff] ?? 0)
  }
  return crc & (slotCount - 1)
}

function slotOfBytes(bytes: Buffer): number {
  let crc = 0
  for (const byte of bytes) crc = ((crc << 8) & 0xffff) ^ (table[((crc >> 8) ^ byte) & 0xff] ?? 0)
  return crc & (slotCount - 1)
}

/** A short key that lies in one of the ranges; undefined if they are empty. */
export function keyInside(ranges: readonly (readonly [from: number, to: number])[]): string | undefined {
  if (ranges.length === 0) return undefined
  for (let number = 0; ; number++) {
    const slot = slotOf(`${number}`)
    if (ranges.some(([from, to]) => slot >= from && slot <= to)) return `${number}`
  }
}
