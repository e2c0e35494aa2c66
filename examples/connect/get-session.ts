// Gets one replica job session: node build/get-session.js ID [reference]

import { ConnectError } from '@connectrpc/connect';
import { connect, explain, fail, patiently, typed } from './client.js';
import {
  ReplicaSession_Result as Result,
  ReplicaSession_State as State,
  ReplicaSessionView as View,
} from './generated/enterprisemanager/v1/replica_session_service_pb.js';

const USAGE = 'get-session.js ID [reference]';
const [id, view = 'entity'] = typed(USAGE, 1, 2);
if (view !== 'entity' && view !== 'reference') fail(USAGE);
const timeoutMs = 1000 * Number(process.env.DEADLINE_SECONDS ?? 5);
const patienceMs = 1000 * Number(process.env.PATIENCE_SECONDS ?? 0);
const gateway = connect();
try {
  const request = { id, view: view === 'reference' ? View.REFERENCE : View.ENTITY };
  const { replicaSession: session } = await patiently(() => gateway.get(request, { timeoutMs }), patienceMs);
  console.log(`type     ${session?.type}`);
  console.log(`name     ${session?.name}`);
  console.log(`state    STATE_${State[session?.state ?? 0]}`);
  console.log(`result   RESULT_${Result[session?.result ?? 0]}`);
} catch (error) {
  console.error(explain(ConnectError.from(error)));
  process.exitCode = 1;
}
