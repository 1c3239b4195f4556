import { parseSpec } from '@holdfast/core'
import { expect, test } from 'vitest'
import { VacancyDesk } from '../../src/hosts/vacancies.ts'
import { HandClock } from '../server/hand-clock.ts'

const spec = parseSpec({ name: 'shop', hosts: [{ name: 'a', address: '10.0.0.1' }] })

test('a host that is lost is not waited for at every turn, and is asked again once it is heard', async () => {
  const clock = new HandClock()
  const asked: string[] = []
  let heard = false
  const fleet = {
    isHere: () => heard,
    greet: (name: string) => {
      asked.push(name)
      return Promise.reject(new Error('silence'))
    },
  }
  const desk = new VacancyDesk({ fleet, clock, documents: () => [] })
  const isHere = async (): Promise<boolean | undefined> => (await desk.of(spec)).loads[0]?.isHere
  expect([await isHere(), await isHere(), asked.length]).toEqual([false, false, 1])
  clock.advance(3000)
  expect([await isHere(), await isHere(), asked.length]).toEqual([false, false, 2])
  heard = true
  expect([await isHere(), asked.length]).toEqual([true, 3])
})
