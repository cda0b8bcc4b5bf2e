import type { Budgets } from '../../machines/index.ts';

/** The pegaflow release whose wire contract this library speaks. The server demands equality to the byte. */
export const PEGAFLOW_VERSION = '0.23.12';

/** What both halves of a connector must agree on. */
export interface InstanceOptions {
  /** The server, as `http://host:port`. Plain gRPC: pegaflow-server has no TLS. */
  readonly endpoint: string;
  /** Names this inference replica at the server. Not empty, no `:`, and no other replica's. */
  readonly instanceId: string;
  /** Blocks are shared among instances of one namespace: it must name everything that shapes their bytes. */
  readonly namespace: string;
  /** Ranks that register before the instance is usable. */
  readonly worldSize: number;
  /** Default {@link PEGAFLOW_VERSION}. */
  readonly clientVersion?: string;
  /** Replaces single waits of the table of budgets; milliseconds. */
  readonly budgets?: Partial<Budgets>;
}

/** The server drops device mappings by the prefix `<id>:`, so an id with a colon could take another's along. */
export function checkInstanceId(instanceId: string): void {
  if (instanceId === '') throw new TypeError('instanceId must not be empty');
  if (instanceId.includes(':')) throw new TypeError(`instanceId must not contain ":", which "${instanceId}" does`);
}
