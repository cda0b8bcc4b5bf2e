/** The part of a pino logger that the engine uses. */
export interface EngineLog {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

export const silentLog: EngineLog = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };
