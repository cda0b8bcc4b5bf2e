import { fromPromise } from 'xstate';
import type { RegisterContextRequest } from '../gen/pegaflow/engine_pb.ts';
import type { Connection } from '../rpc/connection.ts';
import type { OwnerOf } from './owners.ts';

export interface RegistrationOwner {
  readonly connection: Connection;
  readonly registration: () => RegisterContextRequest;
}

/**
 * Registers all KV layers of one rank. Has no deadline and heeds no signal: a cancelled RegisterContextBatch leaves a
 * context that nobody owns; it ends with its link.
 */
export const createRegister = (ownerOf: OwnerOf<RegistrationOwner>) =>
  fromPromise<void>(async ({ system }) => {
    const { connection, registration } = ownerOf(system);
    await connection.server.call((client) => client.registerContextBatch(registration()));
  });
