import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, onTestFinished, test } from 'vitest';
import { type CommandProcess, startCommand } from '../../stories/demo-process.ts';

const started: CommandProcess[] = [];

function start(...args: string[]): CommandProcess {
  const command = startCommand(...args);
  started.push(command);
  return command;
}

afterEach(async () => {
  for (const { child, ended } of started.splice(0)) {
    child.kill('SIGKILL');
    await ended;
  }
});

const ANY_PORT = ['--addr', '127.0.0.1:0', '--http-addr', '127.0.0.1:0', '--no-metrics'];

describe('the command line', () => {
  test('tells its version and its help', async () => {
    expect(await start('--version').ended).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/),
    });
    const { code, stdout } = await start('demo', '--help').ended;
    expect(code).toBe(0);
    for (const option of [
      '--ranks',
      '--restarts',
      '--outage-ms',
      '--model',
      '--requests',
      '--seed',
      '--trace',
      '--json',
    ]) {
      expect(stdout).toContain(option);
    }
  });

  test.each<[string[], RegExp]>([
    [['demo', '--ranks', '0'], /'--ranks <n>' argument '0' is invalid. Expected a whole number from 1 to 64/],
    [['demo', '--ranks', '3'], /qwen3-0.6b has 8 KV heads: they cannot be cut over 3 ranks/],
    [['demo', '--model', 'gpt-2'], /Allowed choices are qwen3-0.6b, llama-3.1-8b, deepseek-v3/],
    [['demo', '--outage-ms', '500..0'], /Expected milliseconds, or a range/],
    [['demo', '--device-memory', '1mb'], /needs \d+ bytes of device memory for 8 blocks/],
    [['demo', '--trace', '/nowhere/trace.jsonl'], /cannot read the trace: .*\/nowhere\/trace.jsonl/],
    [
      ['demo', '--metrics-port', '20000', '--inspect', '20003'],
      /--inspect 20003 is one of the ports 20000 to 20003 of --metrics-port/,
    ],
    [['demo', '--no-such'], /unknown option '--no-such'/],
    [['engine', '--addr', 'nowhere'], /Expected host:port/],
    [['engine', '--fault', '{"hang": 1}'], /--fault: faults: unknown switch "hang"/],
    [['engine', '--fault', '{"crash": true}'], /can only be posted to \/faults/],
    [['dance'], /unknown command 'dance'/],
  ])('refuses %j in one line', async (args, complaint) => {
    const { code, stdout, stderr } = await start(...args).ended;
    expect(stderr).toMatch(complaint);
    expect(stderr.trim().split('\n')).toHaveLength(1);
    expect([code, stdout]).toEqual([2, '']);
  });

  test('a demo that is refused leaves the recording alone that it would replace', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'pegaflow-cli-'));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const path = join(folder, 'recording.jsonl');
    writeFileSync(path, 'kept');
    const holder = createServer().listen(0, '127.0.0.1');
    onTestFinished(() => void holder.close());
    await once(holder, 'listening');
    const port = `${(holder.address() as AddressInfo).port}`;
    const refusals: [string[], number, string][] = [
      [['--inspect', port], 1, `listen EADDRINUSE: address already in use 127.0.0.1:${port}`],
      [['--metrics-port', port], 1, `--metrics-port: 127.0.0.1:${port} (scheduler) is in use`],
      [['--ranks', '3'], 2, 'qwen3-0.6b has 8 KV heads: they cannot be cut over 3 ranks'],
    ];
    for (const [flags, status, complaint] of refusals) {
      const { code, stdout, stderr } = await start('demo', '--record', path, ...flags).ended;
      expect([code, stdout, stderr]).toEqual([status, '', `error: ${complaint}\n`]);
    }
    expect(readFileSync(path, 'utf8')).toBe('kept');
  });

  test('refuses a trace line that is not valid, with file and line', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'pegaflow-cli-'));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const path = join(folder, 'trace.jsonl');
    writeFileSync(path, '{"timestamp": 0, "input_length": 1, "output_length": 1, "hash_ids": [0]}\n{"timestamp": 0}\n');
    const { code, stderr } = await start('demo', '--trace', path).ended;
    expect([code, stderr]).toEqual([2, `error: ${path}:2: "input_length" must be a positive whole number of tokens\n`]);
  });
});

describe('the engine command', () => {
  test('says where it listens, and ends cleanly on SIGINT', async () => {
    const engine = start('engine', ...ANY_PORT, '--log-level', 'silent');
    const line: unknown = JSON.parse(await engine.line(/listening/));
    expect(line).toEqual({
      event: 'listening',
      grpc: expect.stringMatching(/^127\.0\.0\.1:[1-9]\d*$/),
      http: expect.stringMatching(/^127\.0\.0\.1:[1-9]\d*$/),
      pid: engine.child.pid,
      atMs: expect.any(Number),
    });
    engine.child.kill('SIGINT');
    expect(await engine.ended).toMatchObject({ code: 0, stderr: '' });
  });

  test('ends by SIGTERM itself, so that its parent sees why', async () => {
    const engine = start('engine', ...ANY_PORT, '--log-level', 'silent');
    await engine.line(/listening/);
    engine.child.kill('SIGTERM');
    await engine.ended;
    expect(engine.child.signalCode).toBe('SIGTERM');
  });

  test('logs JSON lines on standard error', async () => {
    const engine = start('engine', ...ANY_PORT);
    const line: unknown = JSON.parse(await engine.line(/"level"/));
    expect(line).toMatchObject({ level: 30, name: 'pegaflow-engine' });
  });

  test('a collector that is not there is one warning', async () => {
    const engine = start('engine', ...ANY_PORT, '--otlp', 'http://127.0.0.1:1', '--log-level', 'warn');
    const line: unknown = JSON.parse(await engine.line(/telemetry/));
    const msg = 'telemetry could not be exported to http://127.0.0.1:1: connect ECONNREFUSED 127.0.0.1:1';
    expect(line).toMatchObject({ level: 40, msg });
    engine.child.kill('SIGINT');
    expect((await engine.ended).stderr.trim().split('\n')).toHaveLength(1);
  });

  test('a port in use is one clear line', async () => {
    const holder = createServer().listen(0, '127.0.0.1');
    onTestFinished(() => void holder.close());
    await once(holder, 'listening');
    const { port } = holder.address() as AddressInfo;
    const { code, stderr } = await start(
      'engine',
      '--addr',
      `127.0.0.1:${port}`,
      '--http-addr',
      '127.0.0.1:0',
      '--log-level',
      'silent',
    ).ended;
    expect(code).toBe(1);
    expect(stderr).toMatch(new RegExp(`^error: .*${port}.*\n$`));
  });
});
