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
      const retry = details(thrown as ServiceError).find((detail) => detail['@type'].endsWith('/google.rpc.RetryInfo'));
      if (!retry) throw thrown; // the gateway does not say that another attempt may succeed
      const { seconds, nanos } = (retry as unknown as RetryInfo__Output).retryDelay!;
      // At random up to half as long again, so that all who wait do not come back in the same instant.
      const delayMs = (1000 * Number(seconds) + nanos / 1e6) * (1 + Math.random() / 2);
      if (Date.now() + delayMs > end) throw thrown;
      await setTimeout(delayMs);
    }
  }
}
// patience: end
