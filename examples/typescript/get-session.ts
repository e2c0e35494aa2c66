// Gets one replica job session: node build/get-session.js ID [reference]

import { ServiceError } from '@grpc/grpc-js';
import { connect, fail, typed } from './client';
import { explain, patiently } from './errors';
import type { GetReplicaSessionRequest } from './generated/enterprisemanager/v1/GetReplicaSessionRequest';
import type { ReplicaSession__Output } from './generated/enterprisemanager/v1/ReplicaSession';

const USAGE = 'get-session.js ID [reference]';
const [id, view = 'entity'] = typed(USAGE, 1, 2);
if (view !== 'entity' && view !== 'reference') fail(USAGE);
const client = connect();

function getSession(request: GetReplicaSessionRequest): Promise<ReplicaSession__Output> {
  const deadline = Date.now() + 1000 * Number(process.env.DEADLINE_SECONDS ?? 5);
  return new Promise((resolve, reject) => {
    client.get(request, { deadline }, (error, answer) => (error ? reject(error) : resolve(answer!.replicaSession!)));
  });
}

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
