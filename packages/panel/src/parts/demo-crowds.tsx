import { type DemoState, demoActions, formatDuration } from '@holdfast/core'
import { formatCount, formatTime } from '../figures.ts'

/** A thousand callers, one key: how many questions the database was asked. */
export function Buyers({ buyers, now }: { buyers: DemoState['buyers']; now: number }) {
  return (
    <section class="card crowd" aria-labelledby="buyers">
      <h2 id="buyers">1000 buyers, one product</h2>
      {buyers === null ? (
        <Press action="buyers">
          A thousand callers in two processes ask for one page that nobody has, in the same moment. The database should
          be asked once.
        </Press>
      ) : (
        <p>
          <strong class="score-value tone-ok">{formatCount(buyers.loads)}</strong>{' '}
          {buyers.loads === 1 ? 'question' : 'questions'} to the database for {formatCount(buyers.callers)} callers in
          two processes, in {formatDuration(buyers.tookMs)} <span class="muted">at {formatTime(buyers.at, now)}</span>
        </p>
      )}
    </section>
  )
}

/** A hot key, found and relieved. */
export function FlashSale({ hot, marks, now }: Pick<DemoState, 'hot' | 'marks'> & { now: number }) {
  const last = marks.findLast(({ action, because }) => action === 'hot' && because !== null)
  return (
    <section class="card crowd" aria-labelledby="sale">
      <h2 id="sale">Flash sale</h2>
      {hot === null && last !== undefined && (
        <p>
          {last.because} <span class="muted">at {formatTime(last.at, now)}</span>
        </p>
      )}
      {hot === null && last === undefined && (
        <Press action="hot">
          Almost everybody wants one product. Its key is found to be hot, and the shops keep it in their own memory: the
          engine that has it is relieved.
        </Press>
      )}
      {hot !== null && (
        <p>
          <strong class="score-value">{Math.round(hot.servedLocally * 100)} %</strong> of the{' '}
          {formatCount(hot.perSecond)} reads a second of {hot.product} are answered by the shops' own memory
        </p>
      )}
    </section>
  )
}

function Press({ action, children }: { action: keyof typeof demoActions; children: string }) {
  return (
    <p class="muted">
      Press <kbd>{demoActions[action].key}</kbd>. {children}
    </p>
  )
}
