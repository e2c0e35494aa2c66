// Shared by all programs here: the connection to the gateway, what was typed, and what to make of errors.

import { readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { type Duration, durationMs } from '@bufbuild/protobuf/wkt';
import { type CallOptions, Code, ConnectError, createClient, type Client } from '@connectrpc/connect';
import { createGrpcTransport } from '@connectrpc/connect-node';
import { ReplicaSessionService } from './generated/enterprisemanager/v1/replica_session_service_pb.js';
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from './generated/google/rpc/error_details_pb.js';

/** One client serves a whole process. */
export function connect(): Client<typeof ReplicaSessionService> {
  const { GATEWAY_ADDRESS = '127.0.0.1:50051', TLS_CA_FILE, TLS_KEY_FILE, TLS_CERT_FILE } = process.env;
  const read = (path?: string) => (path ? readFileSync(path) : undefined);
  const baseUrl = `${TLS_CA_FILE ? 'https' : 'http'}://${GATEWAY_ADDRESS}`;
  const nodeOptions = { ca: read(TLS_CA_FILE), key: read(TLS_KEY_FILE), cert: read(TLS_CERT_FILE) };
  // Asks whether the connection is alive if nothing has come back for 30 s, and waits 10 s for the answer.
  const keepAlive = { pingIntervalMs: 30_000, pingTimeoutMs: 10_000 };
  return createClient(ReplicaSessionService, createGrpcTransport({ baseUrl, nodeOptions, ...keepAlive }));
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

// errors: begin
export function explain(error: ConnectError): string {
  const lines = [`code     ${Code[error.code]}`, `message  ${error.rawMessage}`];
  for (const info of error.findDetails(ErrorInfoSchema)) {
    lines.push(`reason   ${info.reason}`);
  }
  for (const { retryDelay } of error.findDetails(RetryInfoSchema)) {
    if (retryDelay) lines.push(`retry    after ${durationMs(retryDelay) / 1000} s`);
  }
  for (const bad of error.findDetails(BadRequestSchema)) {
    lines.push(...bad.fieldViolations.map(({ field, description }) => `field    ${field} ${description}`));
  }
  return lines.join('\n');
}
// errors: end

// patience: begin
/**
 * Makes a call, and makes it again while the gateway says that this may help, after the delay that it asks for. For
 * programs that can wait, such as queue workers: `patienceMs` is for all attempts together.
 */
export async function patiently<T>(call: () => Promise<T>, patienceMs: number): Promise<T> {
  const end = Date.now() + patienceMs;
  for (;;) {
    try {
      return await call();
    } catch (thrown) {
      const retry = retryDelayMs(ConnectError.from(thrown));
      if (retry === undefined) throw thrown; // the gateway does not say that another attempt may succeed
      // At random up to half as long again, so that all who wait do not come back in the same instant.
      const delayMs = retry * (1 + Math.random() / 2);
      if (Date.now() + delayMs > end) throw thrown;
      await pause(delayMs);
    }
  }
}

/** After how many milliseconds another attempt may succeed; undefined if the gateway does not say so. */
export function retryDelayMs(error: ConnectError): number | undefined {
  const [retry] = error.findDetails(RetryInfoSchema);
  return retry?.retryDelay && durationMs(retry.retryDelay);
}
// patience: end

// alive: begin
/** What a watch sends. Ends it when it has been silent for so long that two heartbeats are missing. */
export async function* alive<T extends { heartbeatInterval?: Duration }>(
  watch: (options: CallOptions) => AsyncIterable<T>,
) {
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
/** The gateway's machine-readable reason; empty if a proxy or the library created the error. */
export function reason(error: ConnectError): string {
  const info = error.findDetails(ErrorInfoSchema).find(({ domain }) => domain === 'replicasession.gateway');
  return info?.reason ?? '';
}

/**
 * Whether the gateway itself says why another watch would not help. Without a reason of the gateway, the
 * connection or a proxy has failed, and what stands between decides which code that has.
 */
export function isLasting(error: ConnectError): boolean {
  return reason(error) !== '' && error.code !== Code.Unavailable && error.code !== Code.ResourceExhausted;
}
// again: end
