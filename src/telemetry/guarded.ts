import type { Logger } from './logs/logger.ts';

type Methods<T> = {
  readonly [name in keyof T]: T[name] extends (...args: infer A) => unknown ? (...args: A) => void : never;
};

/** What `work` returns, or `undefined` where it throws; `onFailure` hears of it. */
export function attempt<T>(onFailure: (error: unknown) => void, work: () => T): T | undefined {
  try {
    return work();
  } catch (error) {
    onFailure(error);
    return undefined;
  }
}

/**
 * Every method of `observer` as a function that never throws: a telemetry backend that does must not reach the connector.
 * `onFailure` hears of each failure.
 */
export function guarded<T extends object>(observer: T, onFailure: (error: unknown) => void): Methods<T> {
  const prototype: object = Object.getPrototypeOf(observer);
  const names = Object.getOwnPropertyNames(prototype).filter((name) => name !== 'constructor');
  const methods = names.map((name) => {
    const method = observer[name as keyof T];
    if (typeof method !== 'function') throw new TypeError(`${name} is no method`);
    const call = (...args: unknown[]) => {
      try {
        method.apply(observer, args);
      } catch (error) {
        onFailure(error);
      }
    };
    return [name, call];
  });
  return Object.fromEntries(methods) as Methods<T>;
}

/** `logger` as one that never throws, nor rejects: an `async` one is a logger too. `onFailure` hears of each failure. */
export function guardedLogger(logger: Logger, onFailure: (error: unknown) => void): Logger {
  const at = (level: keyof Logger) => (fields: object, message: string) => {
    const written: unknown = attempt(onFailure, () => logger[level](fields, message));
    if (written instanceof Promise) written.catch(onFailure);
  };
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
}
