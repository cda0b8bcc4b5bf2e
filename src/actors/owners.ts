import type { AnyActorRef } from 'xstate';
import type { Connection } from '../rpc/connection.ts';

type AnyActorSystem = AnyActorRef['system'];

/**
 * What the actors of one connector work on, by the actor system of its machine. So all connectors share one provided
 * machine: providing it anew for each would copy the whole statechart.
 */
export class Owners<Owner> {
  #bySystem = new WeakMap<AnyActorSystem, Owner>();

  set(system: AnyActorSystem, owner: Owner): void {
    this.#bySystem.set(system, owner);
  }

  readonly of = (system: AnyActorSystem): Owner => {
    const owner = this.#bySystem.get(system);
    if (owner === undefined) throw new Error('this machine was started without its connector');
    return owner;
  };
}

export type OwnerOf<Owner> = (system: AnyActorSystem) => Owner;

export interface InstanceOwner {
  readonly connection: Connection;
  readonly session: { readonly instanceId: string };
}
