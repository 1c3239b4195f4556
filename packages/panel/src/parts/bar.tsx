/** A share of something, drawn. The figures stand beside it in words, so it is not read aloud. */
export function Bar({ ratio }: { ratio: number | null }) {
  const width = Math.max(0, Math.min(1, ratio ?? 0)) * 100
  return (
    <svg class="bar" viewBox="0 0 100 4" preserveAspectRatio="none" aria-hidden="true">
      <rect class="bar-track" width="100" height="4" />
      <rect class={width >= 75 ? 'bar-fill bar-high' : 'bar-fill'} width={width} height="4" />
    </svg>
  )
}
