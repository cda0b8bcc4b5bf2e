import { describe, expect, it } from 'vitest';
import { missing } from '../support/missing.ts';
import { runInNamespaces } from '../support/namespaced-story.ts';
import { hasNamespaces } from '../support/netns.ts';

const story = new URL('partition-story.ts', import.meta.url);
const reason = missing('a network namespace with a veth pair (unshare, nsenter and ip)', hasNamespaces());

describe.skipIf(reason)(`a wire that loses every packet${reason ? ` (${reason})` : ''}`, { timeout: 60_000 }, () => {
  it('S-06 S-45: dropped SYNs end with the dial budget, a silent link with the ping budget, and both are resumed from', async () => {
    expect(await runInNamespaces(story)).toEqual({ said: '', code: 0 });
  });
});
