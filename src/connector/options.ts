import type { InspectionEvent, Observer } from 'xstate';
import type { Budgets, ServerVersions } from '../../machines/index.ts';
import { publicEndpoint } from '../redacted.ts';
import type { TelemetryOptions } from '../telemetry/connector-telemetry.ts';

/** What sees a machine at work, as XState takes it: a function, or an observer such as Stately's inspector has. */
export type MachineInspector = Observer<InspectionEvent> | ((event: InspectionEvent) => void);

/** What both halves of a connector must agree on. */
export interface InstanceOptions extends TelemetryOptions {
  /** The server, as `http://host:port`. Plain gRPC: pegaflow-server has no TLS. */
  readonly endpoint: string;
  /** Names this inference replica at the server. Not empty, no `:`, and no other replica's. */
  readonly instanceId: string;
  /** Blocks are shared among instances of one namespace: it must name everything that shapes their bytes. */
  readonly namespace: string;
  /** Ranks that register before the instance is usable. */
  readonly worldSize: number;
  /**
   * Which servers are registered with: `tested`, exactly the versions that were tested; `minor`, those with the same major
   * and minor number as a tested one; or one exact version. A server of another allowed version in the place of the last one
   * is an ordinary restart. Default `tested`.
   */
  readonly serverVersions?: ServerVersions;
  /**
   * Nothing stands between this host and the server: no proxy, no port forwarding, no mesh. Where the server's process cannot be
   * seen, the end of both its sockets then counts as its death. Default false: then that proves nothing, for it may be a proxy's.
   */
  readonly direct?: boolean;
  /** Replaces single waits of the table of budgets; milliseconds. */
  readonly budgets?: Partial<Budgets>;
}

/** Throws a TypeError or RangeError that says which option cannot work, and why. */
export function checkInstanceOptions(options: InstanceOptions & { readonly tpSize: number }): void {
  const { endpoint, instanceId, worldSize, tpSize, serverVersions = 'tested' } = options;
  if (!/^http:\/\/[^/]+:[1-9]\d*\/?$/.test(endpoint) || !URL.canParse(endpoint)) {
    throw new TypeError(`endpoint must look like http://host:port, which "${publicEndpoint(endpoint)}" does not`);
  }
  if (instanceId === '') throw new TypeError('instanceId must not be empty');
  // The server drops device mappings by the prefix `<id>:`, so an id with a colon could go along with another's.
  if (instanceId.includes(':')) throw new TypeError(`instanceId must not contain ":", which "${instanceId}" does`);
  if (!/^(tested|minor|\d+\.\d+\.\d+[\w.+-]*)$/.test(serverVersions)) {
    throw new TypeError(
      `serverVersions must be "tested", "minor" or a version such as 0.25.1, not "${serverVersions}"`,
    );
  }
  for (const [name, size] of Object.entries({ worldSize, tpSize })) {
    if (!(Number.isInteger(size) && size > 0))
      throw new RangeError(`${name} must be a whole number above 0, not ${size}`);
  }
}

/** Throws a RangeError where `groupId` cannot name a storage group. */
export function checkGroupId(groupId = 0): void {
  if (Number.isInteger(groupId) && groupId >= 0 && groupId < 2 ** 32) return;
  throw new RangeError(`groupId must be a whole number from 0, not ${groupId}`);
}

/** Throws a RangeError where `share` is no part of a whole. */
export function checkShare(name: string, share: number): void {
  if (share > 0 && share <= 1) return;
  throw new RangeError(`${name} must be above 0 and at most 1, not ${share}`);
}

/** Throws a RangeError where `rank` is not one of `size` ranks counted from 0. */
export function checkRank(name: string, rank: number, size: number): void {
  if (Number.isInteger(rank) && rank >= 0 && rank < size) return;
  throw new RangeError(`${name} ${rank} is not one of ${size} ranks`);
}
