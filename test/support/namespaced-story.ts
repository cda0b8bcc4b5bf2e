import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { NAMESPACE_LAUNCHER } from './netns.ts';
import { atEnd } from './own.ts';

/** Runs a script in namespaces of its own to its end: what it said on standard error, and its exit code. */
export async function runInNamespaces(story: URL): Promise<{ readonly said: string; readonly code: number | null }> {
  const [command, ...args] = [...NAMESPACE_LAUNCHER, process.execPath, fileURLToPath(story)];
  const child = spawn(command!, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  atEnd(() => child.kill('SIGKILL'));
  const [said, [code]] = await Promise.all([text(child.stderr), once(child, 'exit')]);
  return { said, code };
}
