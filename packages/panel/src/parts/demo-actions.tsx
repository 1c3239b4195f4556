import { type DemoAction, type DemoState, demoActions } from '@holdfast/core'
import { signal } from '@preact/signals'
import { useEffect } from 'preact/hooks'
import { ApiError, api } from '../api.ts'
import { Mark } from './mark.tsx'

/** Asked for and not answered yet. */
const underWay = signal<ReadonlySet<DemoAction | 'stop'>>(new Set())
/** What the last press led to. */
const said = signal<{ readonly tone: 'ok' | 'bad'; readonly text: string } | undefined>(undefined)

const groups: readonly { readonly title: string; readonly actions: readonly DemoAction[] }[] = [
  { title: 'Break something', actions: ['kill', 'two', 'freeze', 'cache', 'database'] },
  { title: 'Bring a crowd', actions: ['buyers', 'hot'] },
]

/** The buttons, each with the key of the terminal, which works here too. What a press led to is said below, and aloud. */
export function DemoActions({ state }: { state: DemoState }) {
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      const action = actionOf(event)
      if (action !== undefined && reasonAgainst(action, state) === undefined) void press(action)
    }
    document.addEventListener('keydown', onKey)
    return () => document.removeEventListener('keydown', onKey)
  }, [state])

  return (
    <section class="card actions" aria-label="What to do to it">
      <div class="action-groups">
        {groups.map(({ title, actions }) => (
          <div key={title} role="group" aria-label={title} class="action-group">
            <span class="muted action-title" aria-hidden="true">
              {title}
            </span>
            <div class="action-buttons">
              {actions.map((action) => (
                <ActionButton key={action} action={action} state={state} />
              ))}
            </div>
          </div>
        ))}
      </div>
      <div class="action-said">
        <p role="status" class={said.value?.tone === 'bad' ? 'bad-words' : ''}>
          {said.value !== undefined && <Mark tone={said.value.tone} />}
          {said.value?.text ?? <span class="muted">Press a button, or its key.</span>}
        </p>
        {state.faultUnderway !== null && <StopButton />}
      </div>
    </section>
  )
}

export function ActionButton({ action, state }: { action: DemoAction; state: DemoState }) {
  const { key } = demoActions[action]
  const against = reasonAgainst(action, state)
  return (
    <button
      type="button"
      class={action === 'kill' ? 'action' : 'action quiet'}
      // Not `disabled`: that would take the focus away from who presses it by keyboard.
      aria-disabled={against !== undefined}
      aria-keyshortcuts={key}
      title={against}
      onClick={() => {
        if (against === undefined) void press(action)
      }}
    >
      <kbd aria-hidden="true">{key}</kbd> {labelOf(action, state)}
      {against !== undefined && <span class="only-heard"> ({against})</span>}
    </button>
  )
}

function StopButton() {
  const isStopping = underWay.value.has('stop')
  return (
    <button type="button" class="stop" aria-disabled={isStopping} onClick={() => void (isStopping || stop())}>
      Stop the fault now
    </button>
  )
}

function labelOf(action: DemoAction, { compare, database }: DemoState): string {
  if (action === 'compare' && (compare === 'on' || compare === 'stopping')) return 'Stop comparing'
  if (action === 'database' && !database.running) return 'Start the database'
  return demoActions[action].label.split(':')[0] ?? ''
}

/** Why a button does nothing now; undefined: it does. */
function reasonAgainst(action: DemoAction, { compare, hot }: DemoState): string | undefined {
  if (underWay.value.has(action)) return 'being done'
  if (action === 'hot' && hot !== null) return 'the sale goes on'
  if (action === 'compare' && compare === 'starting') return 'the second cluster is being started'
  if (action === 'compare' && compare === 'stopping') return 'the second cluster is being stopped'
  return undefined
}

/** The action of a typed key, unless it was meant for something else. */
function actionOf({ key, target, repeat, metaKey, ctrlKey, altKey }: KeyboardEvent): DemoAction | undefined {
  if (repeat || metaKey || ctrlKey || altKey) return undefined
  if (target instanceof Element && target.closest('input, textarea, select, [contenteditable]') !== null)
    return undefined
  return (Object.keys(demoActions) as DemoAction[]).find((action) => demoActions[action].key === key.toLowerCase())
}

const press = (action: DemoAction): Promise<void> => ask(action, () => api.press(action))
const stop = (): Promise<void> => ask('stop', api.stopFault)

async function ask(what: DemoAction | 'stop', send: () => Promise<{ readonly did: string }>): Promise<void> {
  underWay.value = new Set([...underWay.value, what])
  try {
    said.value = { tone: 'ok', text: sentence((await send()).did) }
  } catch (error) {
    const text = error instanceof ApiError ? error.message : 'the server does not answer: is Holdfast running?'
    said.value = { tone: 'bad', text: sentence(text) }
  } finally {
    underWay.value = new Set([...underWay.value].filter((other) => other !== what))
  }
}

const sentence = (text: string): string =>
  `${text.charAt(0).toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? '' : '.'}`
