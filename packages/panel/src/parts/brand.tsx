export function Brand() {
  return (
    <span class="brand">
      <svg viewBox="0 0 32 32" aria-hidden="true">
        <rect width="32" height="32" rx="8" />
        <path d="M16 6v20M16 15c-5 0-7-2.5-7-6M16 15c5 0 7-2.5 7-6M16 26c-3.5 0-6-1.5-8-4.5M16 26c3.5 0 6-1.5 8-4.5" />
      </svg>
      <span class="brand-word">Holdfast</span>
    </span>
  )
}
