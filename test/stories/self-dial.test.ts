import { describe, expect, it } from 'vitest';
import { missing } from '../support/missing.ts';
import { runInNamespaces } from '../support/namespaced-story.ts';
import { hasNamespaces } from '../support/netns.ts';

const story = new URL('self-dial-story.ts', import.meta.url);
const reason = missing('a network namespace (unshare and ip)', hasNamespaces());

describe.skipIf(reason)(`a port of the kernel's range${reason ? ` (${reason})` : ''}`, { timeout: 60_000 }, () => {
  it('S-70: dials that connect to themselves do not keep the server from its port', async () => {
    expect(await runInNamespaces(story)).toEqual({ said: '', code: 0 });
  });
});
