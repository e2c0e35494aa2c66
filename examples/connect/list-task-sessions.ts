// How a virtual machine was replicated in the last week: node build/list-task-sessions.js VM_NAME [PAGE_SIZE]

import { create } from '@bufbuild/protobuf';
import { timestampDate, timestampFromMs } from '@bufbuild/protobuf/wkt';
import { ConnectError } from '@connectrpc/connect';
import { connect, explain, fail, typed } from './client.js';
import {
  ListTaskSessionsRequestSchema,
  ReplicaSession_Result as Result,
  type ReplicaTaskSession,
  ReplicaTaskSession_State as State,
} from './generated/enterprisemanager/v1/replica_session_service_pb.js';

const USAGE = 'list-task-sessions.js VM_NAME [PAGE_SIZE]';
const [vmName, number = '50'] = typed(USAGE, 1, 2);
const pageSize = Number(number);
if (!Number.isInteger(pageSize)) fail(USAGE);
const gateway = connect();
const options = { timeoutMs: 1000 * Number(process.env.DEADLINE_SECONDS ?? 20) };

/** The tasks page by page, the newest first; each page is asked for when it is needed. */
async function* pages(): AsyncGenerator<ReplicaTaskSession[]> {
  const week = timestampFromMs(Date.now() - 7 * 24 * 3600 * 1000);
  const request = create(ListTaskSessionsRequestSchema, {
    pageSize,
    filter: { vmNames: [vmName], createTime: { startTime: week } },
  });
  do {
    const page = await gateway.listTaskSessions(request, options);
    yield page.replicaTaskSessions;
    // The token is valid only for this request: no other field may change.
    request.pageToken = page.nextPageToken;
  } while (request.pageToken);
}

/** The names of the jobs by session. A task names only its session, so one more call reads all of these. */
async function jobNames(tasks: ReplicaTaskSession[]): Promise<Map<string, string>> {
  if (tasks.length === 0) return new Map();
  const sessionIds = tasks.map((task) => task.sessionUid);
  const { replicaSessions } = await gateway.list({ filter: { sessionIds } }, options);
  return new Map(replicaSessions.map(({ uid, jobName }) => [uid, jobName]));
}

function told({ createTime, result }: ReplicaTaskSession): string {
  const created = createTime ? timestampDate(createTime).toISOString() : '-';
  return `${created} RESULT_${Result[result]}`; // RESULT_NONE until it is over
}

try {
  let newest: ReplicaTaskSession | undefined;
  for await (const page of pages()) {
    console.log(`page     ${page.length}`);
    const names = await jobNames(page);
    for (const task of page) {
      console.log(`task     ${told(task)} ${names.get(task.sessionUid) ?? 'unknown job'}`);
      if (task.reason) console.log(`trouble  ${task.reason}`);
      if (task.state === State.COMPLETED) newest ??= task;
    }
  }
  // How the machine stands: a later task may have mended what an earlier one could not do.
  console.log(`newest   ${newest ? told(newest) : 'nothing is over'}`);
} catch (error) {
  console.error(explain(ConnectError.from(error)));
  process.exitCode = 1;
}
