import type { Attributes } from '@opentelemetry/api';
import type { QueryRecord } from '../observers.ts';
import type { Instruments } from './instruments.ts';

/** Counts queries by what they found. A query makes no attributes of its own: they are few, and kept. */
export class QueryMetrics {
  #instruments: Instruments;
  #identity: Attributes;
  #found = new Map<string, Attributes>();

  constructor(instruments: Instruments, identity: Attributes) {
    this.#instruments = instruments;
    this.#identity = identity;
  }

  /** `state` of the scheduler's machine: why there was no server in service. */
  queried({ kind, reason = 'none' }: QueryRecord, state: string): void {
    const key = `${kind} ${reason} ${state}`;
    let attributes = this.#found.get(key);
    if (attributes === undefined) {
      const found = { 'pegaflow.query.outcome': kind, 'pegaflow.miss.reason': reason, 'pegaflow.state': state };
      attributes = { ...this.#identity, ...found };
      this.#found.set(key, attributes);
    }
    this.#instruments['pegaflow.connector.queries'].add(1, attributes);
  }
}
