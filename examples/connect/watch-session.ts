// Follows one replica job session until its run is over: node build/watch-session.js ID

import { setTimeout as pause } from 'node:timers/promises';
import { ConnectError } from '@connectrpc/connect';
import { alive, connect, explain, isLasting, typed } from './client.js';
import {
  ReplicaSession_Result as Result,
  ReplicaSession_State as State,
} from './generated/enterprisemanager/v1/replica_session_service_pb.js';

const [id] = typed('watch-session.js ID', 1, 1);
const gateway = connect();

async function watch() {
  let result = Result.UNSPECIFIED;
  // Without a deadline, because a run can take any time.
  for await (const { event } of alive((options) => gateway.watch({ id }, options))) {
    if (event.case === 'snapshot') {
      const session = event.value.replicaSession!;
      console.log(`watched  STATE_${State[session.state]} ${session.progressPercent} %`);
      result = session.result;
    } else if (event.case === 'outage') {
      console.log(`outage   ${event.value.reason}`);
    }
  }
  console.log(`result   RESULT_${Result[result]}`);
}

for (;;) {
  try {
    await watch();
    break;
  } catch (thrown) {
    const error = ConnectError.from(thrown);
    if (isLasting(error)) {
      console.error(explain(error));
      process.exitCode = 1;
      break;
    }
    // A new watch starts with the current state, so it misses nothing.
    console.error(`again    ${error.message}`);
    await pause(1000 + 1000 * Math.random());
  }
}
