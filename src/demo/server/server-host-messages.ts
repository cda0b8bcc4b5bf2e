/** What crosses between a run and the process that holds its server. */

/** Start this command, which is to listen at this port. Sent once. */
export interface ToServerHost {
  readonly path: string;
  readonly flags: readonly string[];
  readonly port: number;
}

export type FromServerHost =
  | { readonly type: 'listening'; readonly pid: number; readonly atMs: number }
  /** Nothing of it is left. */
  | { readonly type: 'ended'; readonly how: string };
