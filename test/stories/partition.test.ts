import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { missing } from '../support/missing.ts';
import { hasNamespaces, NAMESPACE_LAUNCHER } from '../support/netns.ts';

const story = fileURLToPath(new URL('partition-story.ts', import.meta.url));
const reason = missing('a network namespace with a veth pair (unshare, nsenter and ip)', hasNamespaces());

describe.skipIf(reason)(`a wire that loses every packet${reason ? ` (${reason})` : ''}`, { timeout: 60_000 }, () => {
  it('S-06 S-45: dropped SYNs end with the dial budget, a silent link with the ping budget, and both are resumed from', async () => {
    const [command, ...args] = [...NAMESPACE_LAUNCHER, process.execPath, story];
    const child = spawn(command!, args, { stdio: ['ignore', 'ignore', 'pipe'] });
    const [said, [code]] = await Promise.all([text(child.stderr), once(child, 'exit')]);
    expect(said).toBe('');
    expect(code).toBe(0);
  });
});
