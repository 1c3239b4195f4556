import { render } from 'preact'
import { App } from './app.tsx'
import { startRouter } from './router.ts'
import { keepAwake, loadSession } from './session.ts'

const root = document.getElementById('app')
if (root === null) throw new Error('index.html has no #app')
startRouter()
keepAwake()
void loadSession()
render(<App />, root)
