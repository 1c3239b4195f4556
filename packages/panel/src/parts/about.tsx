import { type AdoptedStatus, formatInstant, type Status } from '@holdfast/core'
import type { ComponentChildren } from 'preact'

/** What is wanted, what runs it, and what it can lose. */
export function About({ status }: { status: Status }) {
  const { controller, engine, specRevision, settledRevision, adopted } = status
  if (adopted !== undefined) return <AboutAdopted adopted={adopted} lossWindow={status.lossWindow} />
  const hosts = new Set(status.nodes.map((node) => node.hostId)).size
  return (
    <section class="card about" aria-labelledby="about">
      <h2 id="about">What to know</h2>
      <dl class="facts">
        <Fact name="Wanted">{status.wanted === 'up' ? 'running' : 'stopped'}</Fact>
        <Fact name="Engine">
          {engine === null ? <span class="unknown">unknown</span> : `${engine.flavor} ${engine.version}`}
        </Fact>
        <Fact name="Controller">
          {controller.id}, epoch {controller.epoch}, {leaseWords[controller.lease] ?? controller.lease}
        </Fact>
        <Fact name="Spec">
          revision {specRevision}, {settledRevision === specRevision ? 'settled' : `settled at ${settledRevision}`}
        </Fact>
        <Fact name="A fault may cost">{status.lossWindow}</Fact>
        {hosts === 1 && (
          <Fact name="Protects from">One machine protects from the death of a process, not of the machine.</Fact>
        )}
      </dl>
    </section>
  )
}

/** Nothing is wanted of what somebody else runs. */
function AboutAdopted({ adopted, lossWindow }: { adopted: AdoptedStatus; lossWindow: string }) {
  const { by, at, from, versions } = adopted
  return (
    <section class="card about" aria-labelledby="about">
      <h2 id="about">What to know</h2>
      <dl class="facts">
        <Fact name="Adopted">Somebody else runs it. It is watched here, and nothing is ever done to it.</Fact>
        <Fact name="Since">
          {formatInstant(at)}, by {by}
        </Fact>
        <Fact name="Found by">{from.join(', ')}</Fact>
        <Fact name="Engine">
          {versions.length === 0 ? <span class="unknown">unknown</span> : versions.join(' and ')}
        </Fact>
        <Fact name="A fault may cost">{lossWindow}</Fact>
      </dl>
    </section>
  )
}

const leaseWords: Readonly<Record<string, string>> = {
  held: 'lease held',
  lost: 'lease lost',
  none: 'no lease',
}

function Fact({ name, children }: { name: string; children: ComponentChildren }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  )
}
