import { Code } from '@connectrpc/connect';
import { Engine } from '../../gen/pegaflow/engine_pb.ts';
import type { FaultPatch, MethodFault, RpcMethod } from '../faults.ts';

/** What `POST /faults` carries: a change to the switches, and things to do once. */
export interface FaultRequest {
  readonly patch: FaultPatch;
  /** Forget this instance, as a cleanup does. */
  readonly forget: string | null;
  /** Close the port and every connection as a dying process does, copy on for `copyAfterCloseMs`, then end. */
  readonly crash: boolean;
}

/** A switch that is not one of ours, or has a value that it cannot have. */
export class FaultJsonError extends Error {}

type Check = (value: unknown, path: string) => unknown;

const refuse = (path: string, expected: string, value: unknown): never => {
  throw new FaultJsonError(`${path}: expected ${expected}, got ${JSON.stringify(value)}`);
};

const wholeNumber: Check = (value, path) =>
  typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
    ? value
    : refuse(path, 'a whole number of at least 0', value);

const milliseconds: Check = (value, path) =>
  typeof value === 'number' && value >= 0 && value < 2 ** 31 ? value : refuse(path, 'milliseconds below 2^31', value);

const flag: Check = (value, path) => (typeof value === 'boolean' ? value : refuse(path, 'true or false', value));

const text: Check = (value, path) => (typeof value === 'string' ? value : refuse(path, 'a string', value));

const grpcCode: Check = (value, path) =>
  typeof value === 'number' && Code[value] !== undefined ? value : refuse(path, 'a gRPC code from 1 to 16', value);

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const fields = (checks: Readonly<Record<string, Check>>, isNullAllowed = false): Check => {
  return (value, path) => {
    if (!isObject(value)) return refuse(path, 'an object', value);
    return Object.fromEntries(
      Object.entries(value).map(([key, field]) => {
        const check = Object.hasOwn(checks, key) ? checks[key] : undefined;
        if (check === undefined) {
          throw new FaultJsonError(`${path}: unknown switch "${key}"; known are ${Object.keys(checks).join(', ')}`);
        }
        return [key, field === null && isNullAllowed ? null : check(field, `${path}.${key}`)];
      }),
    );
  };
};

const refusal: Check = (value, path) => {
  const checked = fields({ code: grpcCode, message: text, retryPushbackMs: milliseconds })(value, path);
  if (isObject(checked) && 'code' in checked && 'message' in checked) return checked;
  return refuse(path, 'an object with code and message', value);
};

const methodFault = fields({
  delayMs: milliseconds,
  hang: flag,
  refuse: refusal,
  loseAck: flag,
  answerOnly: flag,
  betweenStepsMs: milliseconds,
  times: wholeNumber,
} satisfies Record<keyof MethodFault, Check>);

const methodNames = Object.keys(Engine.method) as RpcMethod[];

const methodFaults = fields(Object.fromEntries(methodNames.map((name) => [name, methodFault])), true);

const switches = {
  methods: methodFaults,
  version: text,
  answerLoading: wholeNumber,
  copyDelayMs: milliseconds,
  copyLandsAfterMs: milliseconds,
  copyAfterCloseMs: milliseconds,
  copyAfterThaw: flag,
  insertDelayMs: milliseconds,
} satisfies Record<keyof FaultPatch, Check>;

const request = fields({ ...switches, forget: text, crash: flag }, true);

/** Checks a change to the switches, already parsed from JSON. Throws {@link FaultJsonError} naming the place. */
export const faultRequestFrom = (json: unknown): FaultRequest => {
  const { forget, crash, ...patch } = request(json, 'faults') as FaultPatch & { forget?: string; crash?: boolean };
  return { patch, forget: forget ?? null, crash: crash ?? false };
};
