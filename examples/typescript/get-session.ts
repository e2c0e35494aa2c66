// Gets one replica job session: node build/get-session.js ID [reference]

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ChannelCredentials, credentials, loadPackageDefinition, ServiceError, status } from '@grpc/grpc-js';
import { loadSync, MessageTypeDefinition } from '@grpc/proto-loader';
import type { GetReplicaSessionRequest } from './generated/enterprisemanager/v1/GetReplicaSessionRequest';
import type { ReplicaSession__Output } from './generated/enterprisemanager/v1/ReplicaSession';
import type { BadRequest__Output } from './generated/google/rpc/BadRequest';
import type { ErrorInfo__Output } from './generated/google/rpc/ErrorInfo';
import type { RetryInfo__Output } from './generated/google/rpc/RetryInfo';
import type { Status, Status__Output } from './generated/google/rpc/Status';
import type { ProtoGrpcType } from './generated/replica_session_service';

const ROOT = join(__dirname, '..');
const OPTIONS = { longs: String, enums: String, defaults: true, json: true };

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

function getSession(request: GetReplicaSessionRequest): Promise<ReplicaSession__Output> {
  const client = connect();
  const deadline = Date.now() + 1000 * Number(process.env.DEADLINE_SECONDS ?? 5);
  return new Promise((resolve, reject) => {
    client.get(request, { deadline }, (error, answer) => {
      client.close();
      if (error) reject(error);
      else resolve(answer!.replicaSession!);
    });
  });
}

// errors: begin
function explain(error: ServiceError): string {
  const lines = [`code     ${status[error.code]}`];
  for (const detail of details(error)) {
    if (detail['@type'].endsWith('/google.rpc.ErrorInfo')) {
      lines.push(`reason   ${(detail as unknown as ErrorInfo__Output).reason}`);
    } else if (detail['@type'].endsWith('/google.rpc.RetryInfo')) {
      const { seconds, nanos } = (detail as unknown as RetryInfo__Output).retryDelay!;
      lines.push(`retry    after ${Number(seconds) + nanos / 1e9} s`);
    } else if (detail['@type'].endsWith('/google.rpc.BadRequest')) {
      const violations = (detail as unknown as BadRequest__Output).fieldViolations;
      lines.push(...violations.map(({ field, description }) => `field    ${field} ${description}`));
    }
  }
  return lines.join('\n');
}

function details(error: ServiceError): { '@type': string }[] {
  const [bytes] = error.metadata.get('grpc-status-details-bin');
  if (!bytes) return []; // the gateway did not create the error
  const includeDirs = [join(ROOT, 'node_modules/google-proto-files')];
  const types = loadSync(['google/rpc/status.proto', 'google/rpc/error_details.proto'], { ...OPTIONS, includeDirs });
  const type = types['google.rpc.Status'] as MessageTypeDefinition<Status, Status__Output>;
  return type.deserialize(bytes as Buffer).details as { '@type': string }[];
}
// errors: end

const [id, view] = process.argv.slice(2);
getSession({ id, view: view === 'reference' ? 'REPLICA_SESSION_VIEW_REFERENCE' : 'REPLICA_SESSION_VIEW_ENTITY' }).then(
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
);
