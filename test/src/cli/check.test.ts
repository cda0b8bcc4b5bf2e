import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { describe, expect, test } from 'vitest';
import type { CheckReport } from '../../../src/check/check.ts';
import { shmObjectsOf } from '../../native-bindings/shm-objects.ts';
import { type CommandProcess, startCommand } from '../../stories/demo-process.ts';
import { type ChildEngineOptions, type ChildProcessOptions, EngineProcess } from '../../support/engine-process.ts';
import { atEnd, own } from '../../support/own.ts';

const RUN_TIMEOUT_MS = 60_000;

const startEngine = async (options: ChildEngineOptions = {}, launching: ChildProcessOptions = {}) =>
  own(await EngineProcess.start(options, launching));

function startCheck(...args: string[]): CommandProcess {
  const command = startCommand('check', ...args);
  atEnd(async () => {
    command.child.kill('SIGKILL');
    await command.ended;
  });
  return command;
}

async function reportOf(command: CommandProcess): Promise<{ code: number | null; report: CheckReport }> {
  const { code, stdout } = await command.ended;
  return { code, report: JSON.parse(stdout) as CheckReport };
}

const instancesOf = async (engine: EngineProcess) => (await engine.http('GET', '/instances')).text;
const NO_INSTANCES = '{"instances":[]}';
const outcomesOf = ({ items }: CheckReport, outcome: string) => items.filter((item) => item.outcome === outcome);

describe('the check command', { timeout: RUN_TIMEOUT_MS }, () => {
  test('saves nothing unless it may, and leaves no instance', async () => {
    const engine = await startEngine();
    const { code, report } = await reportOf(startCheck(`http://${engine.grpcAddress}`, '--json'));
    expect(outcomesOf(report, 'not kept')).toEqual([]);
    expect(code).toBe(0);
    const unasked = new Set(outcomesOf(report, 'not asked').map(({ reason }) => reason));
    expect([...unasked].sort()).toEqual([
      'needs the HTTP port (--http-url)',
      'saves blocks, which stay until they are evicted (--write)',
      'stops the server, or gives it faults',
    ]);
    expect(report).toMatchObject({ savedBlocks: 0, isInterrupted: false, serverVersion: expect.any(String) });
    expect(await engine.rpcCount('save', 'ok')).toBeGreaterThan(0);
    expect((await engine.http('GET', '/metrics')).text).not.toMatch(
      /^pegaflow_cache_block_insertions_total(\{.*\})? [1-9]/m,
    );
    expect(await instancesOf(engine)).toBe(NO_INSTANCES);
  });

  test('asks with --write and --http-url all but what would harm the server', async () => {
    const engine = await startEngine();
    const where = [`http://${engine.grpcAddress}`, '--http-url', `http://${engine.httpAddress}`];
    const { code, report } = await reportOf(startCheck(...where, '--write', '--json'));
    expect(outcomesOf(report, 'not kept')).toEqual([]);
    const unasked = outcomesOf(report, 'not asked').map(({ reason }) => reason);
    expect(new Set(unasked)).toEqual(new Set(['stops the server, or gives it faults']));
    expect(report.savedBlocks).toBeGreaterThan(20);
    expect(code).toBe(0);
    expect(await instancesOf(engine)).toBe(NO_INSTANCES);
  });

  test('prints a line for each item, then what it did to the server', async () => {
    const engine = await startEngine();
    const { code, stdout, stderr } = await startCheck(`http://${engine.grpcAddress}`).ended;
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toMatch(/^kept {7}C06 an empty req_id is refused before the instance is looked for$/m);
    expect(stdout).toMatch(/^not asked {2}C17 a restarted server .*: stops the server, or gives it faults$/m);
    expect(stdout).toMatch(/\d+ kept, 0 not kept, \d+ not asked\n\d+ WARN lines .* refused on purpose\n$/);
  });

  test('an item that a server does not keep, or does not answer in time, is one line and exit status 1', async () => {
    const engine = await startEngine({ faults: { methods: { queryPrefetch: { hang: true } } } } as ChildEngineOptions);
    const check = startCheck(`http://${engine.grpcAddress}`, '--timeout-ms', '1000', '--json');
    const { code, report } = await reportOf(check);
    expect(code).toBe(1);
    expect(outcomesOf(report, 'not kept')).toContainEqual({
      id: 'C05',
      title: 'an empty query is valid and empty',
      outcome: 'not kept',
      reason: 'waited 1000 ms for the end of it',
    });
    expect(outcomesOf(report, 'kept').length).toBeGreaterThan(3);
    expect(await instancesOf(engine)).toBe(NO_INSTANCES);
  });

  test('interrupted, it gives back what it took', async () => {
    const engine = await startEngine({ faults: { methods: { queryPrefetch: { hang: true } } } } as ChildEngineOptions);
    const check = startCheck(`http://${engine.grpcAddress}`, '--timeout-ms', '30000');
    await expect.poll(() => instancesOf(engine)).not.toBe(NO_INSTANCES);
    const pid = check.child.pid ?? 0;
    expect(shmObjectsOf(pid).length).toBeGreaterThan(0);
    check.child.kill('SIGINT');
    const { code, stdout } = await check.ended;
    expect(code).toBe(130);
    expect(stdout).toContain('; interrupted');
    expect(await instancesOf(engine)).toBe(NO_INSTANCES);
    expect(shmObjectsOf(pid)).toEqual([]);
  });

  test('says what it cannot ask of a server that sees none of its memory', async () => {
    const launcher = ['unshare', '--mount', 'sh', '-c', 'mount -t tmpfs tmpfs /dev/shm && exec "$@"', 'sh'];
    const engine = await startEngine({}, { launcher });
    const { code, report } = await reportOf(startCheck(`http://${engine.grpcAddress}`, '--json'));
    expect(outcomesOf(report, 'not kept')).toEqual([]);
    const reasonOf = (start: string) => report.items.find(({ title }) => title.startsWith(start))?.reason;
    expect(reasonOf('an unknown instance is')).toMatch(/^shares no memory with the server: storage error: LoadState/);
    expect(reasonOf('a cold cache')).toMatch(/^the server cannot map memory of ours: register tensor failed: /);
    expect(code).toBe(0);
    expect(await instancesOf(engine)).toBe(NO_INSTANCES);
  });

  test('takes what speaks no HTTP/2 for no server, in one line without the password', async () => {
    const listener = createServer((socket) => socket.on('error', () => {}).end('HTTP/1.1 200 OK\r\n\r\n'));
    listener.listen(0, '127.0.0.1');
    await once(listener, 'listening');
    atEnd(() => listener.close());
    const { port } = listener.address() as AddressInfo;
    const { code, stdout, stderr } = await startCheck(`http://user:secret@127.0.0.1:${port}`).ended;
    expect(stderr).toMatch(/^error: no pegaflow-server answers at http:\/\/…@127\.0\.0\.1:\d+: .*\n$/);
    expect([code, stdout]).toEqual([2, '']);
  });

  test.each<[string, string[], RegExp]>([
    ['no URL', [], /missing required argument 'url'/],
    ['what is no URL', ['nowhere'], /Expected http:\/\/host:port/],
    ['TLS', ['https://127.0.0.1:9'], /Expected http:\/\/host:port/],
    ['a URL without a port', ['http://127.0.0.1'], /Expected http:\/\/host:port/],
    ['a port that nobody listens at', ['http://127.0.0.1:9'], /no pegaflow-server answers at http:\/\/127.0.0.1:9: /],
    ['no time at all', ['http://127.0.0.1:9', '--timeout-ms', '0'], /Expected a whole number from 1 to/],
    ['an option that is none', ['http://127.0.0.1:9', '--fix'], /unknown option '--fix'/],
  ])('refuses %s in one line, with exit status 2', async (_, args, complaint) => {
    const { code, stdout, stderr } = await startCheck(...args).ended;
    expect(stderr).toMatch(complaint);
    expect(stderr.trim().split('\n')).toHaveLength(1);
    expect([code, stdout]).toEqual([2, '']);
  });

  test('a server that answers no call in time is unreachable', async () => {
    const engine = await startEngine();
    engine.signal('SIGSTOP');
    atEnd(() => engine.signal('SIGCONT'));
    const { code, stderr } = await startCheck(`http://${engine.grpcAddress}`, '--timeout-ms', '300').ended;
    expect(stderr).toMatch(/^error: no pegaflow-server answers at .*\n$/);
    expect(code).toBe(2);
  });
});
