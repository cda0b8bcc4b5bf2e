/** `npm run check`: the subjects of commits since this check was added. Without a repository there is nothing to look at. */
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { exits, runTool, toolCommand } from './tool-command.ts';

const LONGEST = 72;
const root = resolve(import.meta.dirname, '..');

await runTool(toolCommand('check-subjects', 'Look at the subjects of commits').action(checkSubjects));

function checkSubjects(): void {
  if (!existsSync(resolve(root, '.git'))) return;
  const [added] = git('log', '--diff-filter=A', '--format=%H', '--', 'scripts/check-subjects.ts').slice(-1);
  if (added === undefined) return;
  const subjects = git('log', '--no-merges', '--format=%h %s', `${added}..HEAD`);
  const tooLong = subjects.filter((line) => line.slice(line.indexOf(' ') + 1).length > LONGEST);
  for (const line of tooLong) process.stderr.write(`${line}: a subject has at most ${LONGEST} characters\n`);
  if (tooLong.length > 0) process.exitCode = exits.failed;
}

function git(...args: readonly string[]): string[] {
  return execFileSync('git', args, { cwd: root, encoding: 'utf8' }).split('\n').filter(Boolean);
}
