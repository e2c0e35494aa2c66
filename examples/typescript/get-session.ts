// Gets one replica job session: node build/get-session.js ID [reference]

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ChannelCredentials, credentials, loadPackageDefinition, ServiceError } from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { explain, OPTIONS, patiently, ROOT } from './errors';
import type { GetReplicaSessionRequest } from './generated/enterprisemanager/v1/GetReplicaSessionRequest';
import type { ReplicaSession__Output } from './generated/enterprisemanager/v1/ReplicaSession';
import type { ProtoGrpcType } from './generated/replica_session_service';

/** One client serves a whole process. It retries as the service config says. */
function connect() {
  const includeDirs = [join(ROOT, '../../proto')];
  const contract = loadSync('enterprisemanager/v1/replica_session_service.proto', { ...OPTIONS, includeDirs });
  const { enterprisemanager } = loadPackageDefinition(contract) as unknown as ProtoGrpcType;
  return new enterprisemanager.v1.ReplicaSessionService(
    process.env.GATEWAY_ADDRESS ?? '127.0.0.1:50051',
    security(),
    { 'grpc.service_config': readFileSync(join(ROOT, '../service-config.json'), 'utf8') },
  );
}

function security(): ChannelCredentials {
  const { TLS_CA_FILE, TLS_KEY_FILE, TLS_CERT_FILE } = process.env;
  if (!TLS_CA_FILE) return credentials.createInsecure();
  const read = (path?: string) => (path ? readFileSync(path) : null);
  return credentials.createSsl(read(TLS_CA_FILE), read(TLS_KEY_FILE), read(TLS_CERT_FILE));
}

const client = connect();

function getSession(request: GetReplicaSessionRequest): Promise<ReplicaSession__Output> {
  const deadline = Date.now() + 1000 * Number(process.env.DEADLINE_SECONDS ?? 5);
  return new Promise((resolve, reject) => {
    client.get(request, { deadline }, (error, answer) => (error ? reject(error) : resolve(answer!.replicaSession!)));
  });
}

const [id, view] = process.argv.slice(2);
const request = { id, view: view === 'reference' ? 'REPLICA_SESSION_VIEW_REFERENCE' : 'REPLICA_SESSION_VIEW_ENTITY' } as const;
patiently(() => getSession(request), 1000 * Number(process.env.PATIENCE_SECONDS ?? 0))
  .then(
    (session) => {
      console.log(`type     ${session.type}`);
      console.log(`name     ${session.name}`);
      console.log(`state    ${session.state}`);
      console.log(`result   ${session.result}`);
    },
    (error: ServiceError) => {
      console.error(explain(error));
      process.exitCode = 1;
    },
  )
  .finally(() => client.close());
