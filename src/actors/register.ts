import { fromPromise } from 'xstate';
import type { Budgets, Epoch, RegistrationInput } from '../../machines/index.ts';
import type { RegisterContextRequest } from '../gen/pegaflow/engine_pb.ts';
import { patientTimer } from '../patient-timer.ts';
import type { Connection } from '../rpc/connection.ts';
import type { OurMemory } from '../rpc/memory-holder.ts';
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
    connection.beginRegistration(memory());
    const note = await noteRegistration(input.epoch, signal);
    try {
      signal.throwIfAborted();
      await server.callAlone((client) => client.registerContextBatch(request));
      note.answered();
    } finally {
      note.over();
    }
    // From now on it holds memory of ours. Nothing is moved before it is known what would prove the end of that: a server that is
    // killed at once would be a dead process that nobody saw, a link that is lost at once would leave a copy that nobody can see end.
    const late = Promise.withResolvers<void>();
    const cancel = patientTimer(budgets.identifyTimeoutMs, late.resolve);
    await Promise.race([server.identify().then(note.threadsFound), late.promise]);
    cancel();
  });
