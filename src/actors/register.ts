import { fromPromise } from 'xstate';
import type { Budgets, Epoch, RegistrationInput } from '../../machines/index.ts';
import type { RegisterContextRequest } from '../gen/pegaflow/engine_pb.ts';
import type { Connection } from '../rpc/connection.ts';
import type { OurMemory } from '../rpc/holder/memory-holder.ts';
import { identified } from './identified.ts';
import type { OwnerOf } from './owners.ts';

/** Of one registration at the server, from before its Register is sent. */
export interface RegistrationNote {
  /** Call it when the Register was answered OK. */
  readonly answered: () => void;
  /** Call it when the Register is over, however: others wait for their turn. */
  readonly over: () => void;
  /** Resolves once the threads are known that copy for it, or cannot be known. */
  readonly threadsFound: () => Promise<void>;
}

export interface RegistrationOwner {
  readonly budgets: Budgets;
  readonly connection: Connection;
  /**
   * What this rank registers in an epoch, with a server of this version where it is known. Throws a FaultError where it must
   * not.
   */
  readonly registration: (epoch: Epoch, serverVersion?: string) => RegisterContextRequest;
  /** What of ours the server maps then. */
  readonly memory: () => OurMemory;
  /** Called before a Register is sent; resolves when it may be, or with the signal, after which it must not. */
  readonly noteRegistration: (epoch: Epoch, signal: AbortSignal) => Promise<RegistrationNote>;
}

/**
 * Registers all KV layers of one rank. Once it is sent it has no deadline and heeds no signal: a cancelled RegisterContextBatch
 * leaves a context that nobody owns; it ends with its link.
 */
export const createRegister = (ownerOf: OwnerOf<RegistrationOwner>) =>
  fromPromise<void, RegistrationInput>(async ({ input, system, signal }) => {
    const { budgets, connection, registration, memory, noteRegistration } = ownerOf(system);
    const request = registration(input.epoch, input.serverVersion);
    const { server } = connection;
    const search = connection.beginRegistration(memory());
    const note = await noteRegistration(input.epoch, signal);
    try {
      signal.throwIfAborted();
      await server.callAlone((client) => client.registerContextBatch(request));
      search.answered();
      note.answered();
    } finally {
      note.over();
    }
    // From now on it holds memory of ours. A link that is lost before its threads are known would leave a copy that nobody can see end.
    await identified(server.identify().then(note.threadsFound), budgets);
  });
