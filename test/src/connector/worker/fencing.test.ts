/** A server that may still touch blocks and is not heard is brought to its end, where the host wants that. */
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { budgetsFrom, type NoProof, type PassedOnByRank } from '../../../../machines/index.ts';
import { hasCode } from '../../../../native-bindings/system-call-error.ts';
import { WorkerConnector } from '../../../../src/connector/index.ts';
import { type Doubtful, Fencer, type Fencing } from '../../../../src/connector/worker/fencing.ts';
import { runFencingCommand } from '../../../../src/connector/worker/fencing-command.ts';
import { DeathWatch } from '../../../../src/rpc/holder/death-watch.ts';
import { HolderWatch } from '../../../../src/rpc/holder/holder-watch.ts';
import { logTable } from '../../../../src/telemetry/logs/log-table.ts';
import { hashesOf } from '../../../support/engine-rank.ts';
import { LogRecorder } from '../../../support/log-recorder.ts';
import { atEnd, own } from '../../../support/own.ts';
import { startProxyProcess } from '../../../support/proxy-process.ts';
import type { ServerProcess } from '../../../support/server-process.ts';
import { connected, endpointOf, provesItself, startEngine, startProxy, successorOf } from '../../../support/story.ts';
import { TelemetryRecorder } from '../../../support/telemetry-recorder.ts';
import type { TestInstance } from '../../../support/test-instance.ts';
import { eventually } from '../../../support/within.ts';

const WAIT_MS = 20_000;
const QUICK = { pingIntervalMs: 200, pingTimeoutMs: 400, dialTimeoutMs: 100, fencingSilenceMs: 500 };

function startSave(instance: TestInstance, requestId = 'late'): void {
  instance.scheduler.scheduleSave({ requestId, blockIds: [3], blockHashes: hashesOf(1, requestId) });
  instance.finish(requestId);
  instance.step();
}

/** Dials that came to nothing, from now on. */
function failedDials(instance: TestInstance, count: number): Promise<true> {
  let dials = 0;
  const [worker] = instance.workers;
  const unlisten = worker!.inspect((event) => {
    if (event.type === '@xstate.snapshot' && worker!.status.path === 'reconnecting.waiting') dials += 1;
  });
  return eventually(`${count} failed dials`, () => (dials >= count ? true : null), WAIT_MS).finally(unlisten);
}

/** A command in a file of its own, and what each run of it wrote. */
function scriptOf(body: string) {
  const folder = mkdtempSync(join(tmpdir(), 'pegaflow-fencing-'));
  atEnd(() => rmSync(folder, { recursive: true, force: true }));
  const [script, out] = [join(folder, 'fence'), join(folder, 'runs')];
  writeFileSync(script, `#!/bin/sh\n${body}\n`);
  chmodSync(script, 0o755);
  writeFileSync(out, '');
  const runs = () => readFileSync(out, 'utf8').split('\n').filter(Boolean);
  return { command: [script, out] as const, runs };
}

const toldOf = (log: LogRecorder, { message }: { readonly message: string }) =>
  log.lines.filter((line) => line.message === message);

async function frozenUnderASave(engine: ServerProcess, fencing: Fencing, budgets = {}) {
  const log = new LogRecorder();
  const telemetry = new TelemetryRecorder();
  const instance = await connected(endpointOf(engine), {
    worldSize: 1,
    fencing,
    budgets: { ...QUICK, ...budgets },
    telemetry: { logger: log, meterProvider: telemetry.meterProvider },
  });
  await engine.fault({ copyDelayMs: 5_000 });
  startSave(instance);
  await engine.http('GET', '/faults');
  engine.signal('SIGSTOP');
  const fencings = async () =>
    (await telemetry.collect()).points.filter(({ name }) => name === 'pegaflow.connector.fencings');
  return { instance, worker: instance.workers[0]!, log, fencings };
}

describe('fencing by kill', { timeout: 60_000 }, () => {
  it('S-78: a frozen server that may still read a block is killed, which is told, and is the proof', async () => {
    const engine = await startEngine();
    const { instance, worker, log, fencings } = await frozenUnderASave(engine, 'kill');
    expect(await engine.exited).toBe('SIGKILL');
    await instance.ended('late', 'saved', WAIT_MS);
    expect(worker.quarantine('save')).toMatchObject({ blocks: 0, ended: { strongProof: 1 } });
    expect(worker.status.fencing).toMatchObject({ by: 'kill', reason: 'silence', pids: [expect.any(Number)] });
    expect(toldOf(log, logTable.serverFenced)).toMatchObject([
      { level: 'warn', fields: { by: 'kill', reason: 'silence', afterMs: 500 } },
    ]);
    expect(await fencings()).toMatchObject([
      { value: 1, attributes: { 'pegaflow.fencing.by': 'kill', 'pegaflow.fencing.reason': 'silence' } },
    ]);
    await successorOf(engine);
    await instance.reached('connected');
    await provesItself(instance);
  });

  it('S-78: by default, and while nothing is in doubt, nobody is killed', async () => {
    const engine = await startEngine();
    const { instance } = await frozenUnderASave(engine, 'off');
    const idle = await startEngine();
    const other = await connected(endpointOf(idle), { worldSize: 1, fencing: 'kill', budgets: QUICK });
    idle.signal('SIGSTOP');
    await failedDials(instance, 15);
    await failedDials(other, 15);
    expect([engine.isRunning, idle.isRunning]).toEqual([true, true]);
    for (const one of [engine, idle]) one.signal('SIGCONT');
    await engine.fault({ copyDelayMs: null });
    await instance.ended('late', 'saved', WAIT_MS);
  });

  it('S-78: a server that answers on a new link is not fenced for the silence of the old one', async () => {
    const engine = await startEngine();
    const proxy = await startProxy(engine);
    const instance = await connected(proxy.endpoint, {
      worldSize: 1,
      fencing: 'kill',
      budgets: { ...QUICK, oldLinkGraceMs: 60_000, fencingStuckMs: 4_000 },
    });
    const [worker] = instance.workers;
    await engine.fault({ copyDelayMs: 60_000 });
    startSave(instance);
    await engine.http('GET', '/faults');
    proxy.strand();
    // Had the silence counted, it would have been first.
    const fencing = await eventually('the fencing', () => worker!.status.fencing, WAIT_MS);
    expect(fencing).toMatchObject({ by: 'kill', reason: 'stuck' });
    expect(await engine.exited).toBe('SIGKILL');
    proxy.cutStranded();
    await instance.ended('late', 'saved', WAIT_MS);
    expect(worker!.quarantine('save').ended).toMatchObject({ strongProof: 1, unsafeRelease: 0 });
  });

  it('S-78: of two processes on the way, the one that holds the memory is killed, never a proxy', async () => {
    const engine = await startEngine();
    const proxy = await startProxyProcess(engine);
    const instance = await connected(proxy.endpoint, { worldSize: 1, fencing: 'kill', budgets: QUICK });
    const [worker] = instance.workers;
    await engine.fault({ copyDelayMs: 60_000 });
    startSave(instance);
    await engine.http('GET', '/faults');
    engine.signal('SIGSTOP');
    expect(await engine.exited).toBe('SIGKILL');
    await instance.ended('late', 'saved', WAIT_MS);
    expect(worker!.status.fencing?.pids).not.toContain(proxy.pid);
    expect(() => process.kill(proxy.pid, 0)).not.toThrow();
  });
});

describe('fencing by a command', { timeout: 60_000 }, () => {
  it('S-78: it is run once, without a shell, and proves nothing by itself, however it ends', async () => {
    const engine = await startEngine();
    const { command, runs } = scriptOf('echo "$PEGAFLOW_SERVER_PID at $PEGAFLOW_SERVER_ADDRESS: $2" >> "$1"; exit 3');
    const { instance, worker, log } = await frozenUnderASave(engine, [...command, '$HOME; exit'], {
      fencingStuckMs: 3_000,
    });
    await eventually('the command to be run', () => (runs().length > 0 ? true : null), WAIT_MS);
    // Long enough for what is stuck to be due, too.
    await failedDials(instance, 40);
    const { fencing } = worker.status;
    expect(fencing).toMatchObject({ by: 'command', reason: 'silence' });
    expect(runs()).toEqual([`${fencing?.pids[0]} at ${engine.grpcAddress}: $HOME; exit`]);
    expect(toldOf(log, logTable.serverFenced)).toHaveLength(1);
    expect(worker.quarantine('save')).toMatchObject({ blocks: 1, ended: { strongProof: 0 } });
    process.kill(fencing!.pids[0]!, 'SIGKILL');
    await instance.ended('late', 'saved', WAIT_MS);
    expect(worker.quarantine('save')).toMatchObject({ blocks: 0, ended: { strongProof: 1 } });
  });

  it('S-78: one that hangs is killed at its bound, with what it started', async () => {
    const { command, runs } = scriptOf('sleep 600 & echo $! >> "$1"; echo $$ >> "$1"; wait');
    const problems: string[] = [];
    runFencingCommand(command, { pids: [], address: 'host:1' }, 1_500, (problem) => problems.push(problem));
    await eventually('its end', () => (problems.length > 0 ? true : null), WAIT_MS);
    expect(problems).toEqual([`its command ${command[0]} did not end in 1500 ms and was killed`]);
    expect(runs()).toHaveLength(2);
    for (const pid of runs().map(Number)) {
      await eventually(`process ${pid} to be gone`, () => (isGone(pid) ? true : null), WAIT_MS);
    }
  });

  it('S-78: one that cannot be started is told', async () => {
    const problems: string[] = [];
    runFencingCommand(['/no/such/command'], { pids: [], address: 'host:1' }, 1_000, (problem) =>
      problems.push(problem),
    );
    await eventually('the problem', () => (problems.length > 0 ? true : null), WAIT_MS);
    expect(problems[0]).toMatch(/^its command \/no\/such\/command cannot be started: .*ENOENT/);
  });
});

/** A process of no other use. */
async function victim() {
  const engine = await startEngine();
  return { pid: engine.pid, isRunning: () => engine.isRunning, exited: engine.exited };
}

function fencerOver(fencing: Fencing, deaths: readonly DeathWatch[]) {
  const events: PassedOnByRank[] = [];
  let looks = 0;
  const inDoubt: readonly Doubtful[] = deaths.map((death) => ({ death }));
  const hearing = { isUp: false, bytesRead: 0 };
  const fencer = own(
    new Fencer({
      fencing,
      address: '127.0.0.1:50055',
      budgets: budgetsFrom({ fencingSilenceMs: 100 }),
      inDoubt: () => inDoubt,
      hearing: () => {
        looks += 1;
        return hearing;
      },
      onEvent: (event) => events.push(event),
    }),
  );
  fencer.review();
  const looked = (count: number) => {
    const from = looks;
    return eventually(`${count} looks`, () => (looks >= from + count ? true : null), WAIT_MS);
  };
  return { events, hearing, looked };
}

function deathOf(found: HolderWatch | NoProof): DeathWatch {
  const death = own(new DeathWatch({ settleMs: 100, isDirect: false }));
  death.learn(found);
  return death;
}

function holding(pid: number): DeathWatch {
  const holder = own(HolderWatch.over([pid])!);
  return deathOf(holder);
}

describe('what is fenced', { timeout: 60_000 }, () => {
  it('S-78: one process is fenced once, however many links and registrations are in doubt', async () => {
    const { pid, exited } = await victim();
    const { events } = fencerOver('kill', [holding(pid), holding(pid)]);
    expect(await exited).toBe('SIGKILL');
    expect(events).toEqual([{ type: 'server.fenced', by: 'kill', pids: [pid], reason: 'silence', afterMs: 100 }]);
  });

  it.each<[NoProof, RegExp]>([
    ['proxy', /none, a proxy stands between.*PID namespace.*a command/],
    ['notVisible', /none, its process is not visible.*PID namespace.*a command/],
    ['notHere', /none, it is in another network namespace.*PID namespace.*a command/],
    ['unwatchable', /none, its process cannot be watched.*PID namespace.*a command/],
  ])(
    'S-78: where the answer to who holds the memory is %s, kill does nothing, and says so once',
    async (reason, words) => {
      const { events, looked } = fencerOver('kill', [deathOf(reason), deathOf(reason)]);
      await looked(40);
      expect(events).toEqual([{ type: 'fencing.failed', problem: expect.stringMatching(words) }]);
    },
  );

  it('S-78: a command is run although nobody is seen, once, without a pid', async () => {
    const { command, runs } = scriptOf('echo "[$PEGAFLOW_SERVER_PID] $PEGAFLOW_SERVER_ADDRESS" >> "$1"');
    const { events, looked } = fencerOver(command, [deathOf('notVisible'), deathOf('notVisible')]);
    await eventually('the command to be run', () => (runs().length > 0 ? true : null), WAIT_MS);
    await looked(40);
    expect(runs()).toEqual(['[] 127.0.0.1:50055']);
    expect(events).toEqual([{ type: 'server.fenced', by: 'command', pids: [], reason: 'silence', afterMs: 100 }]);
  });

  it('S-78: every byte begins the silence anew, and a link that is up ends it', async () => {
    const { pid, isRunning, exited } = await victim();
    const { hearing, looked } = fencerOver('kill', [holding(pid)]);
    for (let byte = 0; byte < 5; byte += 1) {
      await looked(5);
      hearing.bytesRead += 1;
    }
    hearing.isUp = true;
    await looked(40);
    expect(isRunning()).toBe(true);
    hearing.isUp = false;
    expect(await exited).toBe('SIGKILL');
  });
});

it.each([
  ['force', '"force"'],
  [[], '[]'],
  [[''], '[""]'],
  [['fence', 7], '["fence",7]'],
  [true, 'true'],
])('a fencing of %j is an error at construction', (fencing, said) => {
  const options = { endpoint: 'http://127.0.0.1:1', instanceId: 'i', namespace: 'n', worldSize: 1 };
  const place = { rank: 0, tpRank: 0, tpSize: 1, deviceId: 0, fencing: fencing as Fencing };
  expect(() => new WorkerConnector({ ...options, ...place })).toThrow(
    new TypeError(`fencing must be "off", "kill" or a command such as ["/usr/local/bin/fence"], not ${said}`),
  );
});

function isGone(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'latin1').includes(') Z ');
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ESRCH')) return true;
    throw error;
  }
}
