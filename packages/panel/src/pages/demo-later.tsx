import { signal } from '@preact/signals'
import type { ComponentType } from 'preact'
import { useEffect } from 'preact/hooks'
import { NowherePage } from './nowhere.tsx'

const page = signal<ComponentType | undefined>(undefined)
const isGone = signal(false)

/** The demonstration's page, loaded when it is asked for: its charts weigh more than all other pages together. */
export function DemoPage() {
  useEffect(() => {
    import('./demo.tsx').then(
      (loaded) => {
        page.value = loaded.DemoPage
      },
      () => {
        isGone.value = true
      },
    )
  }, [])
  const Loaded = page.value
  if (Loaded !== undefined) return <Loaded />
  return isGone.value ? (
    <NowherePage what="Holdfast was upgraded since this page was opened: load it again." />
  ) : (
    <p class="muted">Looking…</p>
  )
}
