export function NowherePage({ what }: { what: string }) {
  return (
    <section class="empty">
      <h1>{what}</h1>
      <p>
        <a href="/">All deployments</a>
      </p>
    </section>
  )
}
