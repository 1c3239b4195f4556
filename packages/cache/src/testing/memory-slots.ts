/** CRC16 as the Cluster specification has it (polynomial 0x1021, begun at 0), bit by bit: nothing here is in a hurry. */
function crc16(bytes: Buffer): number {
  let crc = 0
  for (const byte of bytes) {
    crc ^= byte << 8
    for (let bit = 0; bit < 8; bit++) crc = ((crc & 0x8000) === 0 ? crc << 1 : (crc << 1) ^ 0x1021) & 0xffff
  }
  return crc
}

export const slotCount = 16_384

/** Only what stands in the first braces counts, if anything does, so that keys of one tag share a slot. */
export function slotOf(key: string | Buffer): number {
  const bytes = Buffer.from(key)
  const open = bytes.indexOf('{')
  const close = open === -1 ? -1 : bytes.indexOf('}', open + 1)
  return crc16(close > open + 1 ? bytes.subarray(open + 1, close) : bytes) % slotCount
}
