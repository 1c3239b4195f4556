import { type Signal, signal } from '@preact/signals'
import { useEffect, useRef } from 'preact/hooks'
import UPlot from 'uplot'
import type { Points } from '../lanes.ts'

/** The moment under the pointer, in all charts; null: there is none. */
export const moment: Signal<number | null> = signal(null)

/** A vertical line through the chart. */
interface Line {
  readonly at: number
  /** Drawn above it, where there is room; the key that did it. */
  readonly tag: string
}

interface Props {
  /** What the chart shows, in words, for who does not see it. */
  readonly label: string
  readonly points: Points
  readonly from: number
  readonly to: number
  /** How high the highest may be. */
  readonly top: number
  /** What the scale says, and at which height. */
  readonly ticks: readonly { readonly height: number; readonly label: string }[]
  readonly lines: readonly Line[]
  /** Moments marked on the ground line: each is a loss. */
  readonly losses: readonly number[]
  /** The first of a stack has the tags, the last the times. */
  readonly place: 'first' | 'middle' | 'last'
}

const plotHeight = 58
const tagHeight = 18
const timesHeight = 22
const gutterWidth = 52

/** One line over time. Everything about it may change with each second; only its place in the stack does not. */
export function Chart(props: Props) {
  const place = useRef<HTMLDivElement>(null)
  const plot = useRef<UPlot>(undefined)
  const latest = useRef(props)
  latest.current = props

  useEffect(() => {
    const element = place.current
    if (element === null) return undefined
    const made = new UPlot(optionsOf(latest, element.clientWidth), [...props.points], element)
    plot.current = made
    const widths = new ResizeObserver(() => made.setSize({ width: element.clientWidth, height: heightOf(props.place) }))
    widths.observe(element)
    // The colours are those of the theme, read when they are drawn.
    const theme = matchMedia('(prefers-color-scheme: dark)')
    const redraw = () => made.redraw(false, true)
    theme.addEventListener('change', redraw)
    return () => {
      theme.removeEventListener('change', redraw)
      widths.disconnect()
      made.destroy()
    }
  }, [])

  useEffect(() => {
    const { points, from, to, top } = props
    const made = plot.current
    made?.batch(() => {
      made.setData([...points], false)
      made.setScale('x', { min: from, max: to })
      made.setScale('y', { min: 0, max: top })
    })
  })

  return <div class={`chart chart-${props.place}`} ref={place} role="img" aria-label={props.label} />
}

const heightOf = (place: Props['place']): number =>
  plotHeight + (place === 'first' ? tagHeight : 0) + (place === 'last' ? timesHeight : 0)

function optionsOf(latest: { readonly current: Props }, width: number): UPlot.Options {
  const { place, from, to, top } = latest.current
  return {
    width,
    height: heightOf(place),
    ms: 1,
    padding: [place === 'first' ? tagHeight : 6, 4, place === 'last' ? 0 : 6, 0],
    legend: { show: false },
    cursor: { y: false, drag: { x: false, y: false }, sync: { key: 'lanes' }, points: { size: 6 } },
    scales: {
      x: { time: true, auto: false, min: from, max: to },
      y: { auto: false, min: 0, max: top },
    },
    series: [
      {},
      {
        stroke: (made) => colour(made, '--lane'),
        fill: (made) => colour(made, '--lane-ground'),
        width: 1.5,
        points: { show: false },
      },
    ],
    axes: [timesAxis(place === 'last'), figuresAxis(latest)],
    hooks: {
      draw: [(made) => drawLines(made, latest.current)],
      setCursor: [
        (made) => {
          const { left = -1 } = made.cursor
          if (left < 0) moment.value = null
          else if (made.over.matches(':hover')) moment.value = made.posToVal(left, 'x')
        },
      ],
    },
  }
}

const timeOfDay = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit' })

const timesAxis = (isShown: boolean): UPlot.Axis => ({
  ...lookOfAxis,
  size: isShown ? timesHeight : 0,
  space: 70,
  incrs: [30_000, 60_000, 90_000],
  // A time at the very edge would be cut in half.
  values: (made, splits) =>
    splits.map((at) => (isShown && made.valToPos(at, 'x') < made.over.clientWidth - 26 ? timeOfDay.format(at) : '')),
})

const figuresAxis = (latest: { readonly current: Props }): UPlot.Axis => ({
  ...lookOfAxis,
  size: gutterWidth,
  gap: 6,
  splits: () => latest.current.ticks.map(({ height }) => height),
  values: () => latest.current.ticks.map(({ label }) => label),
})

const lookOfAxis: UPlot.Axis = {
  stroke: (made) => colour(made, '--muted'),
  font: '11px system-ui, sans-serif',
  grid: { stroke: (made) => colour(made, '--line'), width: 1 },
  ticks: { show: false },
}

const colour = (made: UPlot, name: string): string => getComputedStyle(made.root).getPropertyValue(name).trim()

function drawLines(made: UPlot, { lines, losses, place, from, to }: Props): void {
  const { ctx, bbox } = made
  const { pxRatio } = UPlot
  const isSeen = (at: number) => at >= from && at <= to
  const x = (at: number) => Math.round(made.valToPos(at, 'x', true)) + 0.5
  ctx.save()
  ctx.lineWidth = pxRatio
  ctx.strokeStyle = colour(made, '--fault')
  ctx.fillStyle = colour(made, '--fault')
  ctx.font = `600 ${11 * pxRatio}px system-ui, sans-serif`
  ctx.textAlign = 'center'
  let tagX = 0
  for (const { at, tag } of lines.filter((line) => isSeen(line.at))) {
    ctx.beginPath()
    ctx.moveTo(x(at), place === 'first' ? bbox.top - 3 * pxRatio : 0)
    ctx.lineTo(x(at), bbox.top + bbox.height + (place === 'last' ? 0 : 6 * pxRatio))
    ctx.stroke()
    if (place !== 'first') continue
    // Faults in one breath have their tags side by side, not on each other.
    tagX = Math.max(x(at), tagX + 9 * pxRatio)
    ctx.fillText(tag, tagX, bbox.top - 7 * pxRatio)
  }
  ctx.fillStyle = colour(made, '--bad')
  for (const at of losses.filter(isSeen)) diamond(ctx, x(at), bbox.top + bbox.height, 5 * pxRatio)
  ctx.restore()
}

function diamond(ctx: CanvasRenderingContext2D, x: number, y: number, radius: number): void {
  ctx.beginPath()
  ctx.moveTo(x, y - radius)
  ctx.lineTo(x + radius, y)
  ctx.lineTo(x, y + radius)
  ctx.lineTo(x - radius, y)
  ctx.fill()
}
