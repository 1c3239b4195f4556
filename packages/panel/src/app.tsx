import { DemoPage } from './pages/demo-later.tsx'
import { DeploymentPage } from './pages/deployment.tsx'
import { IncidentsPage } from './pages/incidents.tsx'
import { LoginPage } from './pages/login.tsx'
import { NowherePage } from './pages/nowhere.tsx'
import { OverviewPage } from './pages/overview.tsx'
import { Shell } from './parts/shell.tsx'
import { route } from './router.ts'
import { session } from './session.ts'

export function App() {
  const who = session.value
  if (who === 'not asked yet') return null
  if (who === 'nobody') return <LoginPage />
  const at = route.value
  if (at.page === 'demo') {
    return (
      <Shell user={who.user} section="demo">
        <DemoPage />
      </Shell>
    )
  }
  if (at.page === 'incidents') {
    return (
      <Shell user={who.user} crumb={`${at.name}, incidents`}>
        <IncidentsPage key={at.name} name={at.name} />
      </Shell>
    )
  }
  if (at.page === 'deployment') {
    return (
      <Shell user={who.user} crumb={at.name}>
        <DeploymentPage key={at.name} name={at.name} />
      </Shell>
    )
  }
  return (
    <Shell user={who.user}>
      {at.page === 'nowhere' ? <NowherePage what="There is no such page." /> : <OverviewPage />}
    </Shell>
  )
}
