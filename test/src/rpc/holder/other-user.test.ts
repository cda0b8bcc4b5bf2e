/** The server is another user's, whose descriptors and mappings the kernel hides from us. Its task list stays readable. */
import { describe, expect, it } from 'vitest';
import { startWatcher } from '../../../support/holder-process.ts';
import { missing } from '../../../support/missing.ts';
import { startProxyProcess } from '../../../support/proxy-process.ts';
import { itNeeds } from '../../../support/server-under-test.ts';
import { endpointOf, kill, startEngine } from '../../../support/story.ts';
import { eventually } from '../../../support/within.ts';

/** The launcher's own process becomes the command, so that pids stay what they are. */
const NOBODY = ['setpriv', '--reuid=65534', '--clear-groups', '--'] as const;

const noRoot = missing('root, who may run a process as another user', process.getuid?.() === 0);

describe.skipIf(noRoot !== null)(`a server of another user${noRoot ? ` (${noRoot})` : ''}`, { timeout: 60_000 }, () => {
  it.each([
    ['a CUDA device', true],
    ['an emulated device', false],
  ])('S-83: is found by its copy threads for our registration, with memory of %s', async (_, isCuda) => {
    const engine = await startEngine();
    const watcher = startWatcher({ endpoint: endpointOf(engine), isCuda }, NOBODY);
    expect(await watcher.found()).toEqual({ kind: 'process', pids: [engine.pid] });
    await kill(engine);
    expect(await watcher.proof()).toBe('strong');
  });

  itNeeds('a life as another user')(
    'S-83: is not the server that maps the memory from before, which is ours to see',
    async () => {
      const seen = await startEngine({}, { launcher: NOBODY });
      const engine = await startEngine();
      const watcher = startWatcher({ endpoint: endpointOf(engine), before: endpointOf(seen) }, NOBODY);
      expect(await watcher.found()).toEqual({ kind: 'process', pids: [engine.pid] });
      await kill(seen);
      await neverProved(watcher);
      await kill(engine);
      expect(await watcher.proof()).toBe('strong');
    },
  );

  it('S-83: is found behind a proxy of another user, whose end proves nothing', async () => {
    const engine = await startEngine();
    const proxy = await startProxyProcess(engine);
    const watcher = startWatcher({ endpoint: proxy.endpoint, isDirect: true }, NOBODY);
    expect(await watcher.found()).toEqual({ kind: 'process', pids: [engine.pid] });
    await proxy.kill();
    await watcher.ended();
    await neverProved(watcher);
    await kill(engine);
    expect(await watcher.proof()).toBe('strong');
  });

  itNeeds('registrations without copy threads')(
    'S-83: is not visible where it shows no copy threads either, and its end proves nothing',
    async () => {
      const engine = await startEngine({ hasCopyThreads: false });
      const watcher = startWatcher({ endpoint: endpointOf(engine) }, NOBODY);
      expect(await watcher.found()).toEqual({ kind: 'none', reason: 'notVisible' });
      await kill(engine);
      await watcher.ended();
      await neverProved(watcher);
    },
  );
});

const neverProved = ({ heard }: ReturnType<typeof startWatcher>) =>
  expect(eventually('a proof', () => heard.find(({ proof }) => proof) ?? null, 300)).rejects.toThrow('waited');
