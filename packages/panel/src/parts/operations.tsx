import type { Operation } from '@holdfast/core'
import { Badge } from './mark.tsx'

const tones = { asked: 'warn', running: 'warn', done: 'ok', failed: 'bad', cancelled: 'warn' } as const

/** What people asked for once. Absent while there is nothing. */
export function Operations({ operations }: { operations: readonly Operation[] }) {
  if (operations.length === 0) return null
  return (
    <section class="card" aria-labelledby="operations">
      <h2 id="operations">Asked for</h2>
      <section class="scroll" aria-label="Operations as a table" tabIndex={0}>
        <table>
          <thead>
            <tr>
              <th scope="col">Operation</th>
              <th scope="col">Subject</th>
              <th scope="col">State</th>
              <th scope="col">Because</th>
              <th scope="col">By</th>
            </tr>
          </thead>
          <tbody>
            {operations.map((operation) => (
              <tr key={operation.id}>
                <th scope="row">{operation.kind}</th>
                <td>{operation.subject}</td>
                <td>
                  <Badge tone={tones[operation.state]} word={operation.state} />
                </td>
                <td class="why">{operation.because}</td>
                <td class="muted">{operation.requestedBy}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </section>
    </section>
  )
}
