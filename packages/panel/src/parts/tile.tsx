import type { ComponentChildren } from 'preact'

interface Props {
  readonly label: string
  readonly value: ComponentChildren
  readonly note: ComponentChildren
  readonly children?: ComponentChildren
}

/** One large figure with its name and a note. */
export function Tile({ label, value, note, children }: Props) {
  return (
    <div class="tile">
      <dt>{label}</dt>
      <dd>
        <div class="tile-figure">
          <span class="tile-value">{value}</span>
          {children}
        </div>
        <span class="tile-note">{note}</span>
      </dd>
    </div>
  )
}
