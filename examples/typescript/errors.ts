// What to make of a failed call: its parts, and when to try again.

import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { ServiceError, status } from '@grpc/grpc-js';
import { loadSync, MessageTypeDefinition } from '@grpc/proto-loader';
import type { BadRequest__Output } from './generated/google/rpc/BadRequest';
import type { ErrorInfo__Output } from './generated/google/rpc/ErrorInfo';
import type { RetryInfo__Output } from './generated/google/rpc/RetryInfo';
import type { Status, Status__Output } from './generated/google/rpc/Status';

export const ROOT = join(__dirname, '..');
export const OPTIONS = { longs: String, enums: String, defaults: true, json: true };

// errors: begin
export function explain(error: ServiceError): string {
  const lines = [`code     ${status[error.code]}`, `message  ${error.details}`];
  for (const detail of details(error)) {
    if (detail['@type'].endsWith('/google.rpc.ErrorInfo')) {
      lines.push(`reason   ${(detail as unknown as ErrorInfo__Output).reason}`);
    } else if (detail['@type'].endsWith('/google.rpc.RetryInfo')) {
      const { seconds, nanos } = (detail as unknown as RetryInfo__Output).retryDelay!;
      lines.push(`retry    after ${Number(seconds) + nanos / 1e9} s`);
    } else if (detail['@type'].endsWith('/google.rpc.BadRequest')) {
      const violations = (detail as unknown as BadRequest__Output).fieldViolations;
      lines.push(...violations.map(({ field, description }) => `field    ${field} ${description}`));
    }
  }
  return lines.join('\n');
}

export function details(error: ServiceError): { '@type': string }[] {
  const [bytes] = error.metadata?.get('grpc-status-details-bin') ?? [];
  if (!bytes) return []; // the gateway did not create the error
  const includeDirs = [join(ROOT, 'node_modules/google-proto-files')];
  const types = loadSync(['google/rpc/status.proto', 'google/rpc/error_details.proto'], { ...OPTIONS, includeDirs });
  const type = types['google.rpc.Status'] as MessageTypeDefinition<Status, Status__Output>;
  return type.deserialize(bytes as Buffer).details as { '@type': string }[];
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
      const retryMs = retryDelayMs(thrown as ServiceError);
      if (retryMs === undefined) throw thrown; // the gateway does not say that another attempt may succeed
      // At random up to half as long again, so that all who wait do not come back in the same instant.
      const delayMs = retryMs * (1 + Math.random() / 2);
      if (Date.now() + delayMs > end) throw thrown;
      await setTimeout(delayMs);
    }
  }
}

/** After how many milliseconds another attempt may succeed; undefined if the gateway does not say so. */
export function retryDelayMs(error: ServiceError): number | undefined {
  const retry = details(error).find((detail) => detail['@type'].endsWith('/google.rpc.RetryInfo'));
  if (!retry) return undefined;
  const { seconds, nanos } = (retry as unknown as RetryInfo__Output).retryDelay!;
  return 1000 * Number(seconds) + nanos / 1e6;
}
// patience: end

/** The gateway's machine-readable reason; empty if a proxy or the library created the error. */
export function reason(error: ServiceError): string {
  const infos = details(error).filter((detail) => detail['@type'].endsWith('/google.rpc.ErrorInfo'));
  const own = (infos as unknown as ErrorInfo__Output[]).find(({ domain }) => domain === 'replicasession.gateway');
  return own?.reason ?? '';
}

/**
 * Whether the gateway itself says why another watch would not help. Without a reason of the gateway, the
 * connection or a proxy has failed, and what stands between decides which code that has.
 */
export function isLasting(error: ServiceError): boolean {
  return reason(error) !== '' && error.code !== status.UNAVAILABLE && error.code !== status.RESOURCE_EXHAUSTED;
}
