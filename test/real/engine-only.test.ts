import { globSync, readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { absences } from '../support/server-under-test.ts';
import { filesOfOtherServers } from './selection.ts';

it('the tests that no published server is asked are these', () => {
  const found = globSync('test/**/*.test.ts').flatMap((file) =>
    [...readFileSync(file, 'utf8').matchAll(/\bitNeeds\('([^']+)'\)\(\s*['`]([^:'`]+)/g)].map(
      ([, need, name]) => `${name}: ${absences[need as keyof typeof absences]}`,
    ),
  );
  expect(found.sort()).toEqual([
    '5: a process that is killed takes its memory along at once',
    'S-13: nothing of ours runs between the registry of memory and that of instances',
    'S-18: memory that is registered again has the same address, and a copy under way goes on there',
    'S-19: a lease lives for 600 s, and no flag makes that less',
    'S-30: a server that has ended takes its mappings along, so that nothing can add up over several of them',
    'S-59: nothing of ours runs between the registry of memory and that of instances',
    'S-83: the Python that it brings is readable for its owner alone',
    'S-83: the server starts two with each',
  ]);
});

it('every file of tests that is not asked of published servers is there, and has its reason', () => {
  const reasons = Object.entries(filesOfOtherServers);
  expect(globSync(reasons.map(([file]) => file)).sort()).toEqual(reasons.map(([file]) => file).sort());
  expect(reasons.filter(([, reason]) => reason.length < 20)).toEqual([]);
});
