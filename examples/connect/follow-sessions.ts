// Tells of every run that begins, changes or ends, until Ctrl-C: node build/follow-sessions.js [JOB_NAME]

import { setTimeout as pause } from 'node:timers/promises';
import { create } from '@bufbuild/protobuf';
import { timestampDate, timestampFromMs } from '@bufbuild/protobuf/wkt';
import { ConnectError } from '@connectrpc/connect';
import { alive, connect, explain, isLasting, reason, retryDelayMs, typed } from './client.js';
import {
  ListReplicaSessionsRequestSchema,
  type ReplicaSession,
  ReplicaSession_Result as Result,
  ReplicaSession_State as State,
  ReplicaSessionChange_Kind as Kind,
  type WatchSessionsResponse,
} from './generated/enterprisemanager/v1/replica_session_service_pb.js';

const DAY_MS = 24 * 3600 * 1000;
const [jobName = ''] = typed('follow-sessions.js [JOB_NAME]', 0, 1);
const gateway = connect();
/** When each end was told, by the session's id. */
const told = new Map<string, number>();
const options = { timeoutMs: 1000 * Number(process.env.DEADLINE_SECONDS ?? 20) };

/** Goes on where it was cut off, for ever, by the last token. A program that is to outlast itself stores that. */
async function follow() {
  let resumeToken = '';
  let currentMs = Date.now();
  let missedSinceMs: number | undefined; // if the gateway has refused the token
  let pauseMs = 1000;
  for (;;) {
    try {
      const request = { filter: { jobName }, resumeToken };
      // Without a deadline: this has no end.
      for await (const response of alive((options) => gateway.watchSessions(request, options))) {
        await tell(response);
        const { event } = response;
        if (event.case === 'current') {
          currentMs = timestampDate(event.value.readTime!).getTime();
          // Not earlier: only what ends from here on is told by a watch that has begun anew.
          if (missedSinceMs !== undefined) await listEnded(missedSinceMs);
          missedSinceMs = undefined;
        }
        // Only once the event has been dealt with: until then, it would come again.
        resumeToken = response.resumeToken || resumeToken;
        pauseMs = 1000;
      }
    } catch (thrown) {
      const error = ConnectError.from(thrown);
      if (reason(error) === 'INVALID_RESUME_TOKEN' && resumeToken) {
        console.log('missed   the gateway does not take the token; beginning anew, then listing ends');
        resumeToken = '';
        // Enterprise Manager may have learned of an end hours late.
        missedSinceMs ??= currentMs - DAY_MS;
        continue;
      }
      if (isLasting(error)) {
        console.error(explain(error));
        process.exitCode = 1;
        return;
      }
      console.error(`again    ${error.message}`);
      await pause(Math.max(retryDelayMs(error) ?? 0, pauseMs) * (1 + Math.random()));
      pauseMs = Math.min(2 * pauseMs, 30_000);
    }
  }
}

async function tell({ event }: WatchSessionsResponse) {
  switch (event.case) {
    case 'change': {
      // A session that was over when it was first seen has appeared and ended.
      const kind = event.value.kinds.at(-1)!;
      const session = event.value.replicaSession!;
      if (kind !== Kind.ENDED || isNews(session)) print(Kind[kind].toLowerCase(), session);
      forget();
      break;
    }
    case 'current':
      console.log(`current  ${timestampDate(event.value.readTime!).toISOString()}`);
      break;
    case 'outage':
      console.log(`outage   ${event.value.reason}`);
      break;
    case 'missed': {
      const { startTime, endTime } = event.value.endTime!;
      const beforeMs = timestampDate(endTime!).getTime();
      console.log('missed   the gateway does not know which ends have been told; listing them');
      await listEnded(startTime ? timestampDate(startTime).getTime() : beforeMs - DAY_MS, beforeMs);
      break;
    }
    default: // a heartbeat, or an event that this program does not know yet
  }
}

/** Tells the sessions that ended in this time, except those that have been told. */
async function listEnded(sinceMs: number, beforeMs?: number) {
  const endTime = {
    startTime: timestampFromMs(sinceMs),
    endTime: beforeMs === undefined ? undefined : timestampFromMs(beforeMs),
  };
  const request = create(ListReplicaSessionsRequestSchema, { pageSize: 1000, filter: { jobName, endTime } });
  do {
    const page = await gateway.list(request, options);
    for (const session of page.replicaSessions.filter(isNews)) print('listed', session);
    request.pageToken = page.nextPageToken;
  } while (request.pageToken);
}

/** Whether this end has not been told; from now on it has. */
function isNews({ id }: ReplicaSession): boolean {
  const isNews = !told.has(id);
  told.set(id, Date.now());
  return isNews;
}

/** Forgets the ends that were told longer ago than any list here goes back. */
function forget() {
  for (const [id, toldMs] of told) if (toldMs < Date.now() - 2 * DAY_MS) told.delete(id);
}

function print(what: string, { id, state, result, progressPercent, name }: ReplicaSession) {
  const how = state === State.STOPPED ? `RESULT_${Result[result]}` : `STATE_${State[state]} ${progressPercent ?? 0} %`;
  console.log(`${what.padEnd(8)} ${id} ${how} ${name}`);
}

await follow();
