import { MemoryHistory, MemoryStore } from '../../src/store/memory-store.ts'
import { describeHistory, describeStore } from './store.contract.ts'

describeStore('memory', () => {
  const store = new MemoryStore()
  return { open: () => store, clean: () => undefined }
})

describeHistory('memory', () => ({
  open: (eventsMax) => new MemoryHistory(eventsMax === undefined ? {} : { eventsMax }),
  clean: () => undefined,
}))
