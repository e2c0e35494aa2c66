// The connection to the gateway, and what was typed.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ChannelCredentials, credentials, loadPackageDefinition } from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { OPTIONS, ROOT } from './errors';
import type { ProtoGrpcType } from './generated/replica_session_service';

/** One client serves a whole process. It retries as the service config says. */
export function connect() {
  const includeDirs = [join(ROOT, '../../proto')];
  const contract = loadSync('enterprisemanager/v1/replica_session_service.proto', { ...OPTIONS, includeDirs });
  const { enterprisemanager } = loadPackageDefinition(contract) as unknown as ProtoGrpcType;
  return new enterprisemanager.v1.ReplicaSessionService(
    process.env.GATEWAY_ADDRESS ?? '127.0.0.1:50051',
    security(),
    {
      'grpc.service_config': readFileSync(join(ROOT, '../service-config.json'), 'utf8'),
      // Asks whether the connection is alive if nothing has come back for 30 s, and waits 10 s for the answer.
      'grpc.keepalive_time_ms': 30_000,
      'grpc.keepalive_timeout_ms': 10_000,
    },
  );
}

/** What was typed after the program's name. Ends the program with its usage if that is too little or too much. */
export function typed(usage: string, least: number, most: number): string[] {
  const typed = process.argv.slice(2);
  if (typed.length < least || typed.length > most) fail(usage);
  return typed;
}

/** Ends the program with its usage. */
export function fail(usage: string): never {
  console.error(`usage: node build/${usage}`);
  process.exit(2);
}

function security(): ChannelCredentials {
  const { TLS_CA_FILE, TLS_KEY_FILE, TLS_CERT_FILE } = process.env;
  if (!TLS_CA_FILE) return credentials.createInsecure();
  const read = (path?: string) => (path ? readFileSync(path) : null);
  return credentials.createSsl(read(TLS_CA_FILE), read(TLS_KEY_FILE), read(TLS_CERT_FILE));
}
