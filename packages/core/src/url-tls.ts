/**
 * What a program says besides, so that it believes the authority of a deployment: the lines before, and what goes among
 * its options. `holdfast url NAME --ca` prints the certificate that they read. All empty where engines speak in clear.
 */
import type { DeploymentFacts, LibraryClient } from './url-for.ts'

export interface TlsWords {
  readonly head: string
  readonly option: string
}

export const authorityFile = ({ masterName }: Pick<DeploymentFacts, 'masterName'>): string => `${masterName}-ca.crt`

export function tlsWords(client: LibraryClient, facts: DeploymentFacts): TlsWords {
  if (facts.authority == null) return { head: '', option: '' }
  const file = authorityFile(facts)
  const text = JSON.stringify(file)
  switch (client) {
    case 'ioredis':
      return { head: readCa(text), option: ', tls: { ca }' }
    case 'node-redis':
      return { head: readCa(text), option: 'tls: true, ca' }
    case 'redis-py':
      return { head: '', option: `ssl=True, ssl_ca_certs=${text}` }
    case 'jedis':
      return {
        head: `// keytool -importcert -noprompt -file ${file} -keystore ${file}.p12 -storepass changeit\nSystem.setProperty("javax.net.ssl.trustStore", ${JSON.stringify(`${file}.p12`)});\nSystem.setProperty("javax.net.ssl.trustStorePassword", "changeit");\n`,
        option: '.ssl(true)',
      }
    case 'go-redis':
      return {
        head: `pem, err := os.ReadFile(${text})\nif err != nil {\n\tpanic(err)\n}\nroots := x509.NewCertPool()\nroots.AppendCertsFromPEM(pem)\n`,
        option: '&tls.Config{RootCAs: roots}',
      }
    default:
      return client satisfies never
  }
}

const readCa = (file: string): string => `import { readFileSync } from 'node:fs'\n\nconst ca = readFileSync(${file})\n`
