/** What a Sentinel tells its listeners, in words; null for what is only of interest to Sentinels. */
export function describeNews(channel: string, text: string): string | null {
  const words = text.split(' ')
  if (channel === '+switch-master') {
    const [name, oldAddress, oldPort, address, port] = words
    return `${name} is ${address}:${port} now, was ${oldAddress}:${oldPort} (${channel})`
  }
  const who = words
    .slice(0, 4)
    .join(' ')
    .replace(/^(\w+) \S+ (\S+) (\d+)$/, '$1 $2:$3')
  switch (channel) {
    case '+sdown':
      return `it gets no answer of ${who} (${channel})`
    case '-sdown':
      return `${who} answers again (${channel})`
    case '+odown':
      return `enough Sentinels get no answer of ${who} (${channel})`
    case '-odown':
      return `${who} is held for alive again (${channel})`
    case '+try-failover':
    case '+elected-leader':
    case '+selected-slave':
    case '+promoted-slave':
    case '+failover-end':
    case '+failover-end-for-timeout':
    case '-failover-abort-not-elected':
    case '-failover-abort-no-good-slave':
    case '-failover-abort-slave-timeout':
    case '+convert-to-slave':
    case '+reset-master':
    case '+tilt':
    case '-tilt':
      return `${channel} ${text}`.trim()
    default:
      return null
  }
}
