import type { DemoState, HoldfastEvent, Status } from '@holdfast/core'
import { useSignal } from '@preact/signals'
import { useEffect } from 'preact/hooks'
import { ApiError, api, streams } from '../api.ts'
import { follow } from '../follow.ts'
import { movesOf, primariesAsText } from '../key-way.ts'
import { axisEnd, laneNames, withFrame } from '../lanes.ts'
import { DemoActions } from '../parts/demo-actions.tsx'
import { Buyers, FlashSale } from '../parts/demo-crowds.tsx'
import { DemoIntro } from '../parts/demo-intro.tsx'
import { DemoLosses } from '../parts/demo-losses.tsx'
import { DemoMarks } from '../parts/demo-marks.tsx'
import { KeyWay } from '../parts/key-way.tsx'
import { LaneCharts } from '../parts/lane-charts.tsx'
import { LaneScore } from '../parts/lane-score.tsx'
import { NowherePage } from './nowhere.tsx'

/** Two shops under the same load and the same faults: one with Holdfast, one with the engine alone. */
export function DemoPage() {
  const state = useSignal<DemoState | undefined>(undefined)
  const trouble = useSignal('')
  const deployment = state.value?.deployment

  useEffect(() => {
    document.title = 'Demonstration – Holdfast'
    return follow({
      url: streams.demo,
      onData: (text) => {
        state.value = withFrame(state.value, JSON.parse(text))
        trouble.value = ''
      },
      // A refused stream does not say why; the plain request does.
      onRefused: () =>
        void api.demo().then(
          () => undefined,
          (error: unknown) => {
            if (error instanceof ApiError && error.status !== 401) trouble.value = error.message
          },
        ),
    })
  }, [])
  const { status, moves } = useDeployment(deployment)

  if (trouble.value !== '') return <NowherePage what={`${trouble.value}.`} />
  if (state.value === undefined) return <p class="muted">Looking at the demonstration…</p>
  const shown = state.value
  const now = axisEnd(shown)
  return (
    <>
      <DemoIntro state={shown} status={status} />
      <div class="lanes scores">
        {laneNames.map((lane) => (
          <LaneScore key={lane} lane={lane} state={shown} />
        ))}
      </div>
      <DemoActions state={shown} />
      <div class="lanes">
        {laneNames.map((lane) => (
          <LaneCharts key={lane} lane={lane} state={shown} />
        ))}
      </div>
      <DemoLosses state={shown} now={now} />
      <div class="lanes">
        <DemoMarks marks={shown.marks} now={now} />
        <KeyWay keys={keysOf(shown)} status={status} moves={moves} now={now} />
      </div>
      <div class="lanes">
        <Buyers buyers={shown.buyers} now={now} />
        <FlashSale hot={shown.hot} marks={shown.marks} now={now} />
      </div>
    </>
  )
}

/** What is lost has a list of its own. */
const keysOf = ({ keys, lost }: DemoState): DemoState['keys'] =>
  keys.filter(({ key }) => !lost.some((one) => one.key === key))

/**
 * The deployment under the demonstration: how it is, and the log of its moves. The log is asked for when a shard has
 * another primary, and not followed: a browser opens only six connections to one server, over all of its tabs.
 */
function useDeployment(name: string | undefined) {
  const status = useSignal<Status | undefined>(undefined)
  const firstLook = useSignal<Status | undefined>(undefined)
  const events = useSignal<readonly HoldfastEvent[]>([])
  useEffect(() => {
    if (name === undefined) return undefined
    let primaries = ''
    let reading = Promise.resolve()
    const readOn = async () => {
      const last = events.value.at(-1)?.seq ?? null
      const answer = await api.events(name, last).catch(() => undefined)
      if (answer !== undefined) events.value = [...events.value, ...answer.events]
    }
    return follow({
      url: () => streams.deployment(name),
      onData: (text) => {
        const next: Status = JSON.parse(text)
        status.value = next
        firstLook.value ??= next
        if (primariesAsText(next) === primaries) return
        primaries = primariesAsText(next)
        reading = reading.then(readOn)
      },
    })
  }, [name])
  return { status: status.value, moves: movesOf(events.value, firstLook.value) }
}
