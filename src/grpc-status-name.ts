import { Code } from '@connectrpc/connect';

/** A status as gRPC spells it, such as `DEADLINE_EXCEEDED`; `null` is OK. */
export function grpcStatusName(code: Code | null): string {
  if (code === null) return 'OK';
  if (code === Code.Canceled) return 'CANCELLED';
  return (Code[code] ?? 'Unknown').replace(/(?<=[a-z])[A-Z]/g, (letter) => `_${letter}`).toUpperCase();
}
