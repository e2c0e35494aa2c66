// Lists the failed runs of a job in the last week, with reasons: node build/list-sessions.js JOB_NAME [PAGE_SIZE]

import { create } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { ConnectError } from '@connectrpc/connect';
import { connect, explain, fail, typed } from './client.js';
import {
  ListReplicaSessionsRequestSchema,
  ReplicaSession_Result as Result,
  type ReplicaSession,
} from './generated/enterprisemanager/v1/replica_session_service_pb.js';

const USAGE = 'list-sessions.js JOB_NAME [PAGE_SIZE]';
const [jobName, number = '50'] = typed(USAGE, 1, 2);
const pageSize = Number(number);
if (!Number.isInteger(pageSize)) fail(USAGE);
const gateway = connect();
const options = { timeoutMs: 1000 * Number(process.env.DEADLINE_SECONDS ?? 20) };

/** The sessions of all pages, the latest first; each page is asked for when it is needed. */
async function* failedRuns(): AsyncGenerator<ReplicaSession> {
  const week = timestampFromMs(Date.now() - 7 * 24 * 3600 * 1000);
  const request = create(ListReplicaSessionsRequestSchema, {
    pageSize,
    filter: { jobName, results: [Result.FAILED], createTime: { startTime: week } },
  });
  do {
    const page = await gateway.list(request, options);
    console.log(`page     ${page.replicaSessions.length}`);
    yield* page.replicaSessions;
    // The token is valid only for this request: no other field may change.
    request.pageToken = page.nextPageToken;
  } while (request.pageToken);
}

try {
  for await (const { id, name } of failedRuns()) {
    console.log(`failed   ${id} ${name}`);
    // All tasks, one for each virtual machine. Beyond 1,000 tasks, there is a next page here too.
    const tasks = await gateway.listTasks({ sessionId: id }, options);
    for (const task of tasks.replicaTaskSessions) {
      console.log(`task     ${task.vmName} RESULT_${Result[task.result]}`);
    }
    // With the id of a session, one call returns both the session and why it failed.
    const { failedTasks } = await gateway.get({ id, includeFailedTasks: true }, options);
    for (const task of failedTasks) {
      console.log(`trouble  ${task.vmName} ${task.reason}`);
    }
  }
} catch (error) {
  console.error(explain(ConnectError.from(error)));
  process.exitCode = 1;
}
