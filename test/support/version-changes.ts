import { describe, expect, it } from 'vitest';
import { logTable } from '../../src/telemetry/logs/log-table.ts';
import { LogRecorder } from './log-recorder.ts';
import type { ServerProcess } from './server-process.ts';
import { connected, epochOf, inServiceAfter, provesItself, startInstance } from './story.ts';
import type { TestInstance } from './test-instance.ts';

/** Starts a server of that version, in the place of the one before where there was one. */
type StartVersion = (version: string, before?: ServerProcess) => Promise<ServerProcess>;

/** Registers that it has answered with a refusal. */
export async function refusedRegisters(server: ServerProcess): Promise<number> {
  return (await server.rpcCount('register_context_batch')) - (await server.rpcCount('register_context_batch', 'ok'));
}

/** What a connector does when the server is replaced by one of another version: the same at every kind of server. */
export function describeVersionChanges(kind: string, start: StartVersion): void {
  describe(`a server of another version: ${kind}`, { timeout: 60_000 }, () => {
    const endpointOf = ({ grpcAddress }: ServerProcess) => `http://${grpcAddress}`;
    const replaced = async (server: ServerProcess, version: string) => {
      server.signal('SIGKILL');
      await server.exited;
      return start(version, server);
    };
    const statesOf = (instance: TestInstance) => {
      const states: string[] = [];
      instance.scheduler.onStatus(({ state }) => states.push(state));
      return states;
    };

    it('S-33: is registered with at once, for at most one refused Register of each rank, and none at its restart', async () => {
      let server = await start('0.25.1');
      const log = new LogRecorder();
      const options = { serverVersions: 'tested', telemetry: { logger: log } } as const;
      const instance = await connected(endpointOf(server), options);
      const states = statesOf(instance);
      const announced: (string | undefined)[] = [];
      instance.scheduler.onAnnounce(({ action, serverVersion }) => {
        if (action === 'register' && announced.at(-1) !== serverVersion) announced.push(serverVersion);
      });
      let running = '0.25.1';
      for (const version of ['0.24.6', '0.24.6', '0.25.1', '0.23.12', '0.23.12']) {
        const before = epochOf(instance);
        announced.length = 0;
        server = await replaced(server, version);
        await inServiceAfter(instance, before);
        const isChanged = version !== running;
        expect([version, announced]).toEqual([version, isChanged ? [running, version] : [version]]);
        // A rank that was told late has missed the version before.
        const refused = await refusedRegisters(server);
        expect([version, refused >= Number(isChanged)]).toEqual([version, true]);
        expect([version, refused <= (isChanged ? instance.workers.length : 0)]).toEqual([version, true]);
        await provesItself(instance);
        running = version;
      }
      expect(states).not.toContain('incompatible');
      expect(log.lines.filter(({ message }) => message === logTable.incompatible.message)).toEqual([]);
    });

    it('is known to a scheduler that takes the place of another, from its ranks', async () => {
      const server = await start('0.24.6');
      const instance = await connected(endpointOf(server), { serverVersions: 'tested' });
      const before = await refusedRegisters(server);
      const scheduler = instance.replaceScheduler();
      await instance.reached('connected');
      expect([scheduler.status.epoch?.counter, await refusedRegisters(server)]).toEqual([1, before]);
    });

    it('parks an instance that does not allow it', async () => {
      const server = await start('0.24.6');
      const instance = startInstance(endpointOf(server), { serverVersions: '0.25.1' });
      await instance.reached('incompatible');
      expect(instance.scheduler.status.fault).toMatchObject({ kind: 'incompatible', serverVersion: '0.24.6' });
      const after = epochOf(instance);
      await replaced(server, '0.25.1');
      await inServiceAfter(instance, after);
    });
  });
}
