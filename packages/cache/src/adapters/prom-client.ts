/**
 * What a cache counts, for Prometheus. All of it is asked when Prometheus asks: between two scrapes nothing is done, and
 * a cache that nobody watches pays nothing. Only the histogram of load times listens to loads, where it is wanted.
 */
import { Counter, Gauge, Histogram, type Registry, register as usualRegister } from 'prom-client'
import { CacheError } from '../errors.ts'
import { type Labels, type Metric, metrics, type WatchedCache } from './metrics.ts'

export interface MetricsOptions {
  /** Default: the one that prom-client calls `register`. */
  readonly register?: Registry
  /** What all names begin with. Default `holdfast_cache_`. Change it where another library has these names. */
  readonly prefix?: string
  /**
   * Put on all metrics, such as `{ cache: 'pages' }`. Default: none. Needed where a process has several caches: they
   * share the metrics, and differ by the values of labels that have the same names.
   */
  readonly labels?: Labels
  /**
   * A histogram of how long loaders take: `true`, or the upper bounds of its buckets in seconds. Default: none, because
   * it costs an event for each load; the sum is counted in any case.
   */
  readonly loadTimes?: boolean | readonly number[]
}

interface Watched {
  readonly cache: WatchedCache
  readonly labels: Labels
}

/**
 * Registers the metrics of a cache until the answer is called. For the cache itself and not for each of its namespaces:
 * they count together.
 */
export function registerMetrics(cache: WatchedCache, options: MetricsOptions = {}): () => void {
  const { register = usualRegister, prefix = 'holdfast_cache_', labels = {}, loadTimes = false } = options
  const family = familyOf(register, prefix, Object.keys(labels))
  const watched = { cache, labels }
  family.add(watched)
  const stopListening = loadTimes === false ? () => {} : listenToLoads(family, watched, loadTimes)
  return () => {
    stopListening()
    family.remove(watched)
  }
}

function listenToLoads(family: Family, watched: Watched, buckets: true | readonly number[]): () => void {
  const { cache, labels } = watched
  try {
    const histogram = family.histogram(buckets === true ? undefined : buckets)
    return cache.listen('load', ({ ms }) => histogram.observe(labels, ms / 1000))
  } catch (error) {
    family.remove(watched)
    throw error
  }
}

const families = new WeakMap<Registry, Map<string, Family>>()
const ownLabels = new Set(metrics.flatMap(({ labelNames = [] }) => labelNames))

function familyOf(register: Registry, prefix: string, labelNames: readonly string[]): Family {
  const taken = labelNames.find((name) => ownLabels.has(name))
  if (taken !== undefined) {
    throw new CacheError('INVALID', `the metrics have a label ${taken} of their own: use another`, { what: 'labels' })
  }
  const inRegister = families.get(register) ?? new Map<string, Family>()
  families.set(register, inRegister)
  const found = inRegister.get(prefix)
  if (found === undefined) {
    const family = new Family(register, prefix, labelNames, {
      began: () => inRegister.set(prefix, family),
      ended: () => inRegister.delete(prefix),
    })
    return family
  }
  const { labelNames: known } = found
  if (known.length === labelNames.length && known.every((name) => labelNames.includes(name))) return found
  const names = known.length === 0 ? 'no labels' : `the labels ${known.join(', ')}`
  const message = `another cache is registered as ${prefix} with ${names}: label all caches alike`
  throw new CacheError('INVALID', message, { what: 'labels' })
}

/** The metrics of one prefix in one registry, and the caches that they tell of. */
class Family {
  readonly labelNames: readonly string[]
  readonly #register: Registry
  readonly #prefix: string
  readonly #life: { began(): void; ended(): void }
  readonly #watched = new Set<Watched>()
  readonly #registered: string[] = []
  #histogram: Histogram | undefined

  constructor(
    register: Registry,
    prefix: string,
    labelNames: readonly string[],
    life: { began(): void; ended(): void },
  ) {
    this.#register = register
    this.#prefix = prefix
    this.labelNames = labelNames
    this.#life = life
  }

  add(watched: Watched): void {
    for (const { labels } of this.#watched) {
      if (this.labelNames.every((name) => labels[name] === watched.labels[name])) {
        const message = "a cache is registered with these labels: give each its own, such as { cache: 'pages' }"
        throw new CacheError('INVALID', message, { what: 'labels' })
      }
    }
    if (this.#watched.size === 0) this.#registerAll()
    this.#watched.add(watched)
  }

  /** One for all caches of the family: the buckets are those of the first who asks. */
  histogram(buckets: readonly number[] | undefined): Histogram {
    this.#histogram ??= this.#made(
      { name: 'load_duration_seconds', help: 'How long loaders took that answered.' },
      (terms) => new Histogram(buckets === undefined ? terms : { ...terms, buckets: [...buckets] }),
    )
    return this.#histogram
  }

  remove(watched: Watched): void {
    if (!this.#watched.delete(watched)) return
    this.#histogram?.remove(watched.labels)
    if (this.#watched.size === 0) this.#endAll()
  }

  #registerAll(): void {
    try {
      for (const metric of metrics) this.#registerOne(metric)
      this.#life.began()
    } catch (error) {
      // The application has a metric of such a name. Those that came before it must not stay.
      this.#endAll()
      throw error
    }
  }

  /** The cache has counted already, so each scrape writes all values anew; nodes that are gone go from here as well. */
  #registerOne(metric: Metric): void {
    const samples = (): readonly (readonly [value: number, labels: Labels])[] =>
      Array.from(this.#watched, ({ cache, labels }) =>
        metric.read(cache).map(([value, more]) => [value, { ...labels, ...more }] as const),
      ).flat()
    if (metric.kind === 'counter') {
      const collect = function (this: Counter): void {
        this.reset()
        for (const [value, labels] of samples()) this.inc(labels, value)
      }
      this.#made(metric, (terms) => new Counter({ ...terms, collect }))
    } else {
      const collect = function (this: Gauge): void {
        this.reset()
        for (const [value, labels] of samples()) this.set(labels, value)
      }
      this.#made(metric, (terms) => new Gauge({ ...terms, collect }))
    }
  }

  #made<T>(
    { name, help, labelNames = [] }: Pick<Metric, 'name' | 'help' | 'labelNames'>,
    make: (terms: Terms) => T,
  ): T {
    const terms = {
      name: this.#prefix + name,
      help,
      registers: [this.#register],
      labelNames: [...this.labelNames, ...labelNames],
    }
    const made = make(terms)
    this.#registered.push(terms.name)
    return made
  }

  #endAll(): void {
    for (const name of this.#registered.splice(0)) this.#register.removeSingleMetric(name)
    this.#histogram = undefined
    this.#life.ended()
  }
}

interface Terms {
  readonly name: string
  readonly help: string
  readonly labelNames: string[]
  readonly registers: Registry[]
}
