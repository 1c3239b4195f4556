/** The last two minutes as a line. A moment that was not seen is a gap. */
export function Trend({ points }: { points: readonly (number | null)[] }) {
  const max = Math.max(1, ...points.map((point) => point ?? 0)) * 1.1
  const x = (index: number) => ((index + trendLength - points.length) / (trendLength - 1)) * 100
  const y = (value: number) => (30 - (value / max) * 30).toFixed(2)
  const line = points
    .map((value, index) => {
      if (value === null) return ''
      const start = index === 0 || points[index - 1] === null
      return `${start ? 'M' : 'L'}${x(index).toFixed(2)} ${y(value)}`
    })
    .join('')
  // The ground under the line is only drawn for an unbroken one: a gap has none.
  const whole = points.length > 1 && !points.includes(null)
  return (
    <svg class="trend" viewBox="0 0 100 30" preserveAspectRatio="none" aria-hidden="true">
      {whole && <path class="trend-ground" d={`${line}V30H${x(0).toFixed(2)}Z`} />}
      <path class="trend-line" d={line} />
    </svg>
  )
}

/** Points kept: one a second. */
export const trendLength = 120
