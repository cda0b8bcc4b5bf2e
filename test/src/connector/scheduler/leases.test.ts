import { create } from '@bufbuild/protobuf';
import { expect, it } from 'vitest';
import type { Announcement } from '../../../../machines/index.ts';
import { type HeldLease, Leases } from '../../../../src/connector/scheduler/leases.ts';
import { ReleaseResponseSchema } from '../../../../src/gen/pegaflow/engine_pb.ts';
import type { EngineClient } from '../../../../src/rpc/connection.ts';

function harness() {
  let announcement: Announcement = { epoch: { schedulerBootId: 'boot', counter: 1 }, action: 'register' };
  const released: string[] = [];
  const client = {
    release: async ({ lease }: { lease: Uint8Array }) => {
      released.push(new TextDecoder().decode(lease));
      return create(ReleaseResponseSchema, {});
    },
  } as unknown as EngineClient;
  const leases = new Leases({
    connection: { isUp: true, server: { call: (rpc) => rpc(client) } },
    service: () => ({ announcement, epoch: announcement.epoch, isAtHeldLimit: false }),
    releaseTimeoutMs: 1000,
    reportFault: () => {},
  });
  const lease = (name: string): HeldLease => ({ epoch: announcement.epoch, lease: new TextEncoder().encode(name) });
  const publish = (counter: number, action: Announcement['action']) => {
    announcement = { epoch: { schedulerBootId: 'boot', counter }, action };
    leases.reconcile(announcement);
  };
  return { leases, released, lease, publish };
}

it('a lease of before a keep is given back, one of before the last clear is not: the server dropped it', () => {
  const h = harness();
  h.publish(1, 'register');
  const beforeClear = h.lease('before the clear');
  h.publish(2, 'register');
  const beforeKeep = h.lease('before the keep');
  h.publish(3, 'keep');
  h.publish(4, 'keep');
  for (const held of [beforeClear, beforeKeep, h.lease('of now')]) h.leases.release(held);
  expect(h.released).toEqual(['before the keep', 'of now']);
});
