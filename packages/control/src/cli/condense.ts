/**
 * A turn's sentence for a terminal. Six nodes in the same trouble say the same thing six times; here it is said once,
 * with how many others say it too. The events keep every word.
 */
export function condense(because: string): string {
  const alike = new Map<string, { first: string; others: number }>()
  for (const sentence of because.split('; ')) {
    const found = alike.get(shapeOf(sentence))
    if (found === undefined) alike.set(shapeOf(sentence), { first: sentence, others: 0 })
    else found.others++
  }
  return [...alike.values()]
    .map(({ first, others }) => (others === 0 ? first : `${first} (and ${others} more like this)`))
    .join('; ')
}

/** What stays the same while only time passes: a sentence that differs in nothing else is not news. */
export function shapeOf(because: string): string {
  return because
    .replaceAll(/\b\d+(?:\.\d+)? (?:ms|s|min|h|B|KB|MB|GB)\b/g, '…')
    .replaceAll(/\b(?:node|shard)-\d+\b/g, '…')
}
