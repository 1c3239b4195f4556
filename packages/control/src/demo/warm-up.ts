/** A shop that opens fills its cache, so that whatever the database does next, no page is unknown. */
import { productCount, productId } from './goods.ts'
import type { ShopStore } from './store/store.ts'

/** Products at once, each of which is two questions: the visitors of the first seconds need the database, too. */
const atOnce = 1

/** The half of all goods, the most popular first. What cannot be had now is had when somebody asks. */
export async function warmUp(store: Pick<ShopStore, 'product' | 'stock'>, part: 0 | 1): Promise<void> {
  const ids = Array.from({ length: productCount }, (_, index) => productId(index)).filter(
    (_, index) => index % 2 === part,
  )
  const worker = async (): Promise<void> => {
    for (let id = ids.shift(); id !== undefined; id = ids.shift()) {
      await Promise.allSettled([store.product(id), store.stock(id)])
    }
  }
  await Promise.all(Array.from({ length: atOnce }, worker))
}
