// Follows one replica job session until its run is over: node build/watch-session.js ID

import { setTimeout as pause } from 'node:timers/promises';
import { durationMs } from '@bufbuild/protobuf/wkt';
import { type CallOptions, Code, ConnectError } from '@connectrpc/connect';
import { connect, explain } from './client.js';
import {
  ReplicaSession_Result as Result,
  ReplicaSession_State as State,
  type WatchReplicaSessionResponse,
} from './generated/enterprisemanager/v1/replica_session_service_pb.js';
import { ErrorInfoSchema } from './generated/google/rpc/error_details_pb.js';

const [id] = process.argv.slice(2);
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

// alive: begin
/** What a watch sends. Ends it when it has been silent for so long that two heartbeats are missing. */
async function* alive(watch: (options: CallOptions) => AsyncIterable<WatchReplicaSessionResponse>) {
  const controller = new AbortController();
  let patienceMs = 65_000; // until the first event
  let timer: NodeJS.Timeout | undefined;
  const listen = () => {
    const silence = new Error(`nothing heard for ${Math.round(patienceMs / 1000)} s`);
    timer = setTimeout(() => controller.abort(silence), patienceMs);
  };
  try {
    listen();
    for await (const response of watch({ signal: controller.signal })) {
      clearTimeout(timer);
      if (response.heartbeatInterval) {
        // In the first event. The margin is for the second heartbeat, which is due just then.
        patienceMs = 2 * durationMs(response.heartbeatInterval) + 5000;
      }
      yield response;
      listen();
    }
  } finally {
    clearTimeout(timer);
  }
}
// alive: end

// again: begin
/**
 * Whether the gateway itself says why another watch would not help. Without a reason of the gateway, the
 * connection or a proxy has failed, and what stands between decides which code that has.
 */
function isLasting(error: ConnectError): boolean {
  const reasons = error.findDetails(ErrorInfoSchema).filter(({ domain }) => domain === 'replicasession.gateway');
  return reasons.length > 0 && error.code !== Code.Unavailable && error.code !== Code.ResourceExhausted;
}
// again: end

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
