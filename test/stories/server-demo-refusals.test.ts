import { describe, expect, test } from 'vitest';
import { descendantsOf, leftOf, NOTHING_LEFT, startDemoWith as startDemo } from './demo-process.ts';
import { ENGINE, ServerScripts } from './server-scripts.ts';

const END_TIMEOUT_MS = 20_000;

const scripts = new ServerScripts();
const server = scripts.write('server', `exec ${ENGINE}`);

describe('the demo with a server that cannot be used', () => {
  test('interrupted while it waits for a server that never listens, it leaves nothing', async () => {
    const demo = startDemo('--server', scripts.write('silent', 'sleep 1000'), '--requests', '3');
    await demo.line(/device memory/);
    await expect.poll(() => descendantsOf(demo.child.pid ?? 0).length, { timeout: END_TIMEOUT_MS }).toBe(6);
    const processes = descendantsOf(demo.child.pid ?? 0);
    demo.child.kill('SIGINT');
    expect(await demo.ended).toMatchObject({ code: 130, stdout: '' });
    expect(await leftOf(processes)).toEqual(NOTHING_LEFT);
  });

  test.each<[string, string[], number, RegExp]>([
    [
      'a path where nothing is',
      ['--server', '/nowhere/server'],
      2,
      /--server \/nowhere\/server: there is no such file$/,
    ],
    ['a folder', ['--server', scripts.folder], 2, /: is no file$/],
    [
      'a file that cannot be executed',
      ['--server', scripts.write('plain', '', 0o644)],
      2,
      /: is not executable \(chmod \+x\)$/,
    ],
    [
      'a name that no folder of the PATH has',
      ['--server', 'no-such-server'],
      2,
      /no such command on the PATH; give the path of a server, or "engine"$/,
    ],
    [
      "an address of the server's",
      ['--server', server, '--', '--addr', '127.0.0.1:1'],
      2,
      /--addr after "--": the demo chooses it$/,
    ],
    [
      "a pool of the server's",
      ['--server', server, '--', '--pool-size=1gb'],
      2,
      /--pool-size=1gb after "--": give --pool-size to the demo/,
    ],
    [
      'a log that cannot be written',
      ['--server', server, '--server-log', '/nowhere/log'],
      2,
      /cannot write the server’s log: ENOENT: .*'\/nowhere\/log'$/,
    ],
    [
      'an argument that is no flag',
      ['elsewhere'],
      2,
      /unexpected argument "elsewhere"; flags of the server come after "--"$/,
    ],
    ['a time without an endpoint', ['--seconds', '3'], 2, /--seconds needs --endpoint$/],
    [
      'restarts of a server of others',
      ['--endpoint', 'http://127.0.0.1:9', '--restarts', '1'],
      2,
      /--restarts and --endpoint exclude each other/,
    ],
    [
      'a server and an endpoint',
      ['--endpoint', 'http://127.0.0.1:9', '--server', server],
      2,
      /--server and --endpoint exclude each other/,
    ],
    ['an endpoint that is no URL', ['--endpoint', 'nowhere'], 2, /Expected http:\/\/host:port/],
    [
      'an endpoint where nobody answers',
      ['--endpoint', 'http://127.0.0.1:9', '--seconds', '1'],
      1,
      /no pegaflow-server answers at .*; start it first$/,
    ],
    [
      'a server that ends at once',
      ['--server', scripts.write('broken', 'echo "cannot find the GPU" >&2; exit 3')],
      1,
      /\(exit status 3\): cannot find/,
    ],
    [
      'a server that does not know a flag',
      ['--server', server, '--', '--bogus'],
      1,
      /the server did not start \(exit status 2\): .*unknown option '--bogus'/,
    ],
    [
      'a server of another version',
      ['--server', server, '--', '--server-version', '9.9.9'],
      1,
      /do not work with this server: .*9\.9\.9/,
    ],
  ])('refuses %s in one line', { timeout: 60_000 }, async (_, args, status, complaint) => {
    const { code, stdout, stderr } = await startDemo(...args).ended;
    const errors = stderr
      .trim()
      .split('\n')
      .filter((line) => !/^ *\d+\.\d{3} s {2}/.test(line));
    expect(errors).toEqual([expect.stringMatching(complaint)]);
    expect([code, stdout]).toEqual([status, '']);
  });
});
