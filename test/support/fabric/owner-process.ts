/** Brings a fabric up, cuts one of its hosts off and waits to be killed: what it leaves behind is what a test looks at. */
import { Fabric } from './fabric.ts'
import { cutOff } from './injuries.ts'

const fabric = await Fabric.up()
const host = fabric.host('a')
fabric.spawn(host, ['sleep', '600'], { stdio: 'ignore' })
await fabric.injure(cutOff(fabric, host), 60_000)
console.log(JSON.stringify({ keeper: fabric.keeperPid, namespace: host.namespace, folder: fabric.folder }))
setInterval(() => {}, 60_000)
