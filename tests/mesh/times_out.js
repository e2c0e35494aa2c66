// Makes calls that nobody answers, with @grpc/grpc-js: node times_out.js TLS_FOLDER ADDRESS HOST CALLS
//
// Prints how many calls ended with which code, as JSON. The modules are those of NODE_PATH.

const { readFileSync } = require('node:fs');
const { join } = require('node:path');
const { credentials, loadPackageDefinition, status } = require('@grpc/grpc-js');
const { loadSync } = require('@grpc/proto-loader');

const CONNECTIONS = 4;
const AT_ONCE = 36;
// Shorter and longer than Envoy's timeout per try, after which it asks another replica as well.
const TIMEOUTS_MS = [500, 1030, 1600, 2550];

const [tls, address, host, calls] = process.argv.slice(2);
const [authority, key, certificate] = ['ca.crt', 'tls.key', 'tls.crt'].map((file) => readFileSync(join(tls, file)));
const includeDirs = [join(__dirname, '../../proto')];
const contract = loadSync('enterprisemanager/v1/replica_session_service.proto', { includeDirs });
const { ReplicaSessionService } = loadPackageDefinition(contract).enterprisemanager.v1;
const clients = Array.from({ length: CONNECTIONS }, () => {
  return new ReplicaSessionService(address, credentials.createSsl(authority, key, certificate), {
    'grpc.enable_retries': 0,
    'grpc.ssl_target_name_override': host,
    'grpc.use_local_subchannel_pool': 1,
  });
});

function endsWith(number) {
  // The identifiers of the simulator's history; always asked anew.
  const id = `5e550000-0000-4000-8000-${((number % 200) + 1).toString(16).padStart(12, '0')}`;
  const deadline = Date.now() + TIMEOUTS_MS[number % TIMEOUTS_MS.length];
  // Not the same connection for all calls with the same timeout.
  const client = clients[Math.floor(number / TIMEOUTS_MS.length) % CONNECTIONS];
  return new Promise((resolve) => {
    client.get({ id, maxAge: {} }, { deadline }, (error) => resolve(error ? status[error.code] : 'OK'));
  });
}

async function main() {
  const counts = {};
  for (let first = 0; first < Number(calls); first += AT_ONCE) {
    const numbers = Array.from({ length: Math.min(AT_ONCE, Number(calls) - first) }, (_, index) => first + index);
    for (const code of await Promise.all(numbers.map(endsWith))) counts[code] = (counts[code] ?? 0) + 1;
  }
  for (const client of clients) client.close();
  console.log(JSON.stringify(counts));
}

main();
