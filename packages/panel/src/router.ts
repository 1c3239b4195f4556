import { computed, signal } from '@preact/signals'

export type Route =
  | { readonly page: 'overview' }
  | { readonly page: 'login' }
  | { readonly page: 'demo' }
  | { readonly page: 'deployment'; readonly name: string }
  | { readonly page: 'incidents'; readonly name: string }
  | { readonly page: 'nowhere' }

const path = signal(location.pathname)

export const route = computed((): Route => parsePath(path.value))

function parsePath(pathname: string): Route {
  if (pathname === '/') return { page: 'overview' }
  if (pathname === '/login') return { page: 'login' }
  if (pathname === '/demo') return { page: 'demo' }
  const [, name, incidents] = /^\/d\/([a-z0-9-]+)(\/incidents)?\/?$/.exec(pathname) ?? []
  if (name === undefined) return { page: 'nowhere' }
  return { page: incidents === undefined ? 'deployment' : 'incidents', name }
}

export function go(to: string, how: 'push' | 'replace' = 'push'): void {
  if (how === 'push') history.pushState(null, '', to)
  else history.replaceState(null, '', to)
  path.value = location.pathname
  scrollTo(0, 0)
}

/** Links are plain links; those to our own pages change the page without loading it again. */
export function startRouter(): void {
  addEventListener('popstate', () => {
    path.value = location.pathname
  })
  addEventListener('click', (event) => {
    if (event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return
    const link = event.target instanceof Element ? event.target.closest('a') : null
    if (link === null || link.origin !== location.origin || link.hash !== '' || link.target !== '') return
    event.preventDefault()
    go(link.pathname)
  })
}
