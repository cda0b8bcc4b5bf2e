import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { missing } from '../support/missing.ts';
import { hasNamespaces, NAMESPACE_LAUNCHER } from '../support/netns.ts';

const story = fileURLToPath(new URL('self-dial-story.ts', import.meta.url));
const reason = missing('a network namespace (unshare and ip)', hasNamespaces());

describe.skipIf(reason)(`a port of the kernel's range${reason ? ` (${reason})` : ''}`, { timeout: 60_000 }, () => {
  it('S-70: dials that connect to themselves do not keep the server from its port', async () => {
    const [command, ...args] = [...NAMESPACE_LAUNCHER, process.execPath, story];
    const child = spawn(command!, args, { stdio: ['ignore', 'ignore', 'pipe'] });
    const [said, [code]] = await Promise.all([text(child.stderr), once(child, 'exit')]);
    expect(said).toBe('');
    expect(code).toBe(0);
  });
});
