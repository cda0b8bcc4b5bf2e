import { fromPromise } from 'xstate';
import type { Connection } from '../rpc/connection.ts';
import type { Registration } from './registration.ts';

/**
 * Registers all KV layers of one rank. Has no deadline and heeds no signal: a cancelled RegisterContextBatch leaves a
 * context that nobody owns; it ends with its link.
 */
export const createRegister = (connection: Connection, registration: () => Registration) =>
  fromPromise<void>(async () => {
    await connection.server.call((client) => client.registerContextBatch(registration()));
  });
