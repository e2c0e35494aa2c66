// Tells of every run that begins, changes or ends, until Ctrl-C: node build/follow-sessions.js [JOB_NAME]

import { setTimeout as pause } from 'node:timers/promises';
import { ClientReadableStream, ServiceError, status } from '@grpc/grpc-js';
import { connect, typed } from './client';
import { explain, isLasting, reason, retryDelayMs } from './errors';
import type { ListReplicaSessionsRequest } from './generated/enterprisemanager/v1/ListReplicaSessionsRequest';
import type { ListReplicaSessionsResponse__Output } from './generated/enterprisemanager/v1/ListReplicaSessionsResponse';
import type { ReplicaSession__Output } from './generated/enterprisemanager/v1/ReplicaSession';
import type { WatchSessionsResponse__Output } from './generated/enterprisemanager/v1/WatchSessionsResponse';
import type { Timestamp__Output } from './generated/google/protobuf/Timestamp';

const DAY_MS = 24 * 3600 * 1000;
const [jobName = ''] = typed('follow-sessions.js [JOB_NAME]', 0, 1);
const client = connect();
/** When each end was told, by the session's id. */
const told = new Map<string, number>();

/** Goes on where it was cut off, for ever, by the last token. A program that is to outlast itself stores that. */
async function follow() {
  let resumeToken = '';
  let currentMs = Date.now();
  let missedSinceMs: number | undefined; // if the gateway has refused the token
  let pauseMs = 1000;
  for (;;) {
    try {
      // Without a deadline: this has no end.
      for await (const event of alive(client.watchSessions({ filter: { jobName }, resumeToken }))) {
        await tell(event);
        if (event.current) {
          currentMs = ms(event.current.readTime!);
          // Not earlier: only what ends from here on is told by a watch that has begun anew.
          if (missedSinceMs !== undefined) await listEnded(missedSinceMs);
          missedSinceMs = undefined;
        }
        // Only once the event has been dealt with: until then, it would come again.
        resumeToken = event.resumeToken || resumeToken;
        pauseMs = 1000;
      }
    } catch (thrown) {
      const error = thrown as ServiceError;
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
      console.error(`again    ${status[error.code] ?? 'SILENT'} ${error.details ?? error.message}`);
      await pause(Math.max(retryDelayMs(error) ?? 0, pauseMs) * (1 + Math.random()));
      pauseMs = Math.min(2 * pauseMs, 30_000);
    }
  }
}

/** What a watch sends. Ends it when it has been silent for so long that two heartbeats are missing. */
async function* alive(watch: ClientReadableStream<WatchSessionsResponse__Output>) {
  let patienceMs = 65_000; // until the first event
  let silence: Error | undefined;
  let timer: NodeJS.Timeout | undefined;
  const listen = () => {
    timer = setTimeout(() => {
      silence = new Error(`nothing heard for ${Math.round(patienceMs / 1000)} s`);
      watch.cancel();
    }, patienceMs);
  };
  try {
    listen();
    for await (const event of watch as AsyncIterable<WatchSessionsResponse__Output>) {
      clearTimeout(timer);
      if (event.heartbeatInterval) {
        // In the first event. The margin is for the second heartbeat, which is due just then.
        patienceMs = 2 * ms(event.heartbeatInterval) + 5000;
      }
      yield event;
      listen();
    }
  } catch (error) {
    throw silence ?? error;
  } finally {
    clearTimeout(timer);
    watch.cancel();
  }
}

async function tell({ change, current, outage, missed }: WatchSessionsResponse__Output) {
  if (change) {
    // A session that was over when it was first seen has appeared and ended.
    const kind = change.kinds.at(-1)!.replace('KIND_', '').toLowerCase();
    if (kind !== 'ended' || isNews(change.replicaSession!)) print(kind, change.replicaSession!);
    forget();
  } else if (current) {
    console.log(`current  ${new Date(ms(current.readTime!)).toISOString()}`);
  } else if (outage) {
    console.log(`outage   ${outage.reason}`);
  } else if (missed) {
    const { startTime, endTime } = missed.endTime!;
    const beforeMs = ms(endTime!);
    console.log('missed   the gateway does not know which ends have been told; listing them');
    await listEnded(startTime ? ms(startTime) : beforeMs - DAY_MS, beforeMs);
  } // else a heartbeat, or an event that this program does not know yet
}

/** Tells the sessions that ended in this time, except those that have been told. */
async function listEnded(sinceMs: number, beforeMs?: number) {
  const endTime = {
    startTime: timestamp(sinceMs),
    endTime: beforeMs === undefined ? undefined : timestamp(beforeMs),
  };
  const request: ListReplicaSessionsRequest = { pageSize: 1000, filter: { jobName, endTime } };
  do {
    const page = await list(request);
    for (const session of page.replicaSessions.filter(isNews)) print('listed', session);
    request.pageToken = page.nextPageToken;
  } while (request.pageToken);
}

/** Whether this end has not been told; from now on it has. */
function isNews({ id }: ReplicaSession__Output): boolean {
  const isNews = !told.has(id);
  told.set(id, Date.now());
  return isNews;
}

/** Forgets the ends that were told longer ago than any list here goes back. */
function forget() {
  for (const [id, toldMs] of told) if (toldMs < Date.now() - 2 * DAY_MS) told.delete(id);
}

function list(request: ListReplicaSessionsRequest): Promise<ListReplicaSessionsResponse__Output> {
  const deadline = Date.now() + 1000 * Number(process.env.DEADLINE_SECONDS ?? 20);
  return new Promise((resolve, reject) => {
    client.list(request, { deadline }, (error, answer) => (error ? reject(error) : resolve(answer!)));
  });
}

function print(what: string, { id, state, result, progressPercent, name }: ReplicaSession__Output) {
  const how = state === 'STATE_STOPPED' ? result : `${state} ${progressPercent ?? 0} %`;
  console.log(`${what.padEnd(8)} ${id} ${how} ${name}`);
}

/** Milliseconds of a time, since 1970, or of a duration. */
function ms({ seconds, nanos }: Timestamp__Output): number {
  return 1000 * Number(seconds) + nanos / 1e6;
}

function timestamp(ms: number) {
  return { seconds: Math.floor(ms / 1000), nanos: Math.floor(1e6 * (ms % 1000)) };
}

follow().finally(() => client.close());
