/**
 * Two hosts of two ranks share a namespace at a published server, which is frozen, or loses its connections, at a random moment
 * while every rank saves. Each host uses blocks again as soon as they are handed back, and loads what the other saved: no byte may be wrong. Prints a line a
 * round; exit 1 where one was, or where something stayed held. With fencing the server has to be dead before the freeze is over;
 * another one is started, and what both hosts save there has to come back.
 */
import { Command, Option } from 'commander';
import { hashesOf } from '../test/support/engine-rank.ts';
import { RealServer } from '../test/support/real-server.ts';
import { TcpProxy } from '../test/support/tcp-proxy.ts';
import { TestInstance } from '../test/support/test-instance.ts';
import { eventually, within } from '../test/support/within.ts';

const BLOCKS = [0, 1, 2, 3, 4, 5];
const TARGET = 7;
const REUSED = 250;
/** From when the server answers again until nothing may be held any more, in milliseconds. */
const HELD_MAX_MS = 2_000;

const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

class Host {
  readonly instance: TestInstance;
  #name: string;

  constructor(endpoint: string, name: string, fencing: Plan['fencing']) {
    this.#name = name;
    const options = { instanceId: name, namespace: 'frozen', worldSize: 2, fencing };
    this.instance = new TestInstance(endpoint, options).start();
  }

  hashOf(round: number, block: number): Uint8Array {
    return hashesOf(1, `${this.#name} ${round} ${block}`)[0]!;
  }

  valueOf = (round: number, block: number) => ((round * 31 + block * 7 + this.#name.length) % 200) + 1;

  startSaves(round: number): void {
    const { scheduler, memory } = this.instance;
    for (const block of BLOCKS) {
      for (const rank of memory) rank.fill(block, this.valueOf(round, block));
      const requestId = `${this.#name} ${round} ${block}`;
      scheduler.scheduleSave({ requestId, blockIds: [block], blockHashes: [this.hashOf(round, block)] });
      this.instance.finish(requestId);
    }
  }

  /** Steps until all saves of the round are told; each block is overwritten as soon as it is. */
  async reuse(round: number): Promise<void> {
    let left = BLOCKS.length;
    while (left > 0) {
      for (const requestId of this.instance.step().saved) {
        const block = Number(requestId.split(' ').at(-1));
        for (const rank of this.instance.memory) rank.fill(block, REUSED);
        left -= requestId.startsWith(`${this.#name} ${round} `) ? 1 : 0;
      }
      await sleep(5);
    }
  }

  get held(): number {
    return this.instance.workers.reduce((sum, worker) => sum + worker.quarantine('save').blocks, 0);
  }

  get isDistrusting(): boolean {
    return this.instance.workers.some((worker) => (worker.takeReport().distrust?.hashes.length ?? 0) > 0);
  }

  /** Settles when all that it saved in that round is a hit: that comes after the end of the save. */
  async visible(round: number): Promise<void> {
    for (const block of BLOCKS) await this.instance.hit(`sees ${round} ${block}`, [this.hashOf(round, block)]);
    for (const block of BLOCKS) this.instance.scheduler.release(`sees ${round} ${block}`);
  }

  /** How many blocks that another host saved come back, and how many of those are wrong. */
  async load(other: Host, round: number): Promise<{ hits: number; wrong: number }> {
    const found = { hits: 0, wrong: 0 };
    for (const block of BLOCKS) {
      const requestId = `reads ${other.#name} ${round} ${block}`;
      const outcome = await this.instance.scheduler.query({ requestId, blockHashes: [other.hashOf(round, block)] });
      if (outcome.kind !== 'hit') continue;
      this.instance.scheduler.scheduleLoad(requestId, [TARGET]);
      const { failedLoads } = await this.instance.ended(requestId, 'loaded', 30_000);
      if (failedLoads.length > 0) continue;
      found.hits += 1;
      const isRight = this.instance.memory.every((rank) => rank.holds(TARGET, other.valueOf(round, block)));
      if (!isRight) found.wrong += 1;
    }
    return found;
  }
}

type Disturbance = 'freeze' | 'fin' | 'rst' | 'halfOpen';

interface Plan {
  readonly by: Disturbance;
  readonly servers: number;
  readonly freezeMs: number;
  readonly rounds: number;
  readonly fencing: 'off' | 'kill';
}

const start = (address: { readonly addr?: string; readonly httpAddr?: string } = {}) =>
  RealServer.start({ version: '0.25.1', ...address });

const losing = { fin: 'cut', rst: 'reset', halfOpen: 'strand' } as const;

/** Until the server answers again, or has been killed and another one listens in its place. */
async function disturbed(server: RealServer, proxy: TcpProxy, { by, freezeMs, fencing }: Plan): Promise<RealServer> {
  if (by !== 'freeze') {
    const before = proxy.accepted;
    proxy[losing[by]]();
    await eventually('a new link', () => (proxy.accepted > before ? true : null), 60_000);
    return server;
  }
  server.signal('SIGSTOP');
  if (fencing === 'off') {
    await sleep(freezeMs);
    server.signal('SIGCONT');
    return server;
  }
  await within(freezeMs, 'the server to be fenced', server.exited);
  return start({ addr: server.grpcAddress, httpAddr: server.httpAddress });
}

async function play(plan: Plan, tell: (line: string) => void): Promise<boolean> {
  const { rounds, fencing, by } = plan;
  await using servers = new AsyncDisposableStack();
  let server = servers.use(await start());
  const proxy = servers.use(await TcpProxy.start(server.grpcAddress));
  const endpoint = by === 'freeze' ? `http://${server.grpcAddress}` : proxy.endpoint;
  const hosts = ['a', 'bb'].map((name) => new Host(endpoint, name, fencing));
  for (const { instance } of hosts) servers.use(instance);
  let isRight = true;
  for (let round = 1; round <= rounds; round += 1) {
    for (const { instance } of hosts) await instance.reached('connected');
    // Who fences does it for saves in doubt alone: some must be under way at the freeze.
    await server.fault({ copyDelayMs: fencing === 'kill' ? 200 : 20 });
    for (const host of hosts) host.startSaves(round);
    const reused = hosts.map((host) => host.reuse(round));
    await sleep(Math.random() * 250);
    const before = server;
    server = await disturbed(server, proxy, plan);
    const isNew = server !== before;
    if (isNew) servers.use(server);
    const endedMs = performance.now();
    await server.fault({ copyDelayMs: null });
    await Promise.all(reused);
    for (const { instance } of hosts) await instance.reached('connected');
    await eventually('nothing to be held', () => (hosts.every(({ held }) => held === 0) ? true : null), 60_000);
    const heldMs = Math.round(performance.now() - endedMs);
    const ofRound = await exchanged(hosts, round);
    const fresh = isNew ? await savedAgain(hosts, round + rounds) : null;
    const wrong = ofRound.wrong + (fresh?.wrong ?? 0);
    const isDistrusting = hosts.some((host) => host.isDistrusting);
    const epochs = hosts.map(({ instance }) => instance.scheduler.status.epoch?.counter);
    tell(
      `round ${round}: over ${heldMs} ms after the ${isNew ? 'restart' : by === 'freeze' ? 'thaw' : 'first new link'}, ` +
        `${ofRound.hits} blocks loaded, ${fresh === null ? '' : `${fresh.hits} of those saved again, `}${wrong} wrong, ` +
        `distrust ${isDistrusting}, epochs ${epochs.join(' ')}`,
    );
    const isBack = fresh === null || fresh.hits === hosts.length * BLOCKS.length;
    if (wrong > 0 || isDistrusting || heldMs > HELD_MAX_MS || !isBack) isRight = false;
  }
  return isRight;
}

/** The same at several servers side by side. */
async function playAll(plan: Plan): Promise<boolean> {
  const each = Array.from({ length: plan.servers }, (_, i) =>
    play(plan, (line) => process.stdout.write(`server ${i + 1}, ${line}\n`)),
  );
  return (await Promise.all(each)).every(Boolean);
}

/** What each host loads of what the other saved. */
async function exchanged([a, b]: readonly Host[], round: number): Promise<{ hits: number; wrong: number }> {
  const [ofA, ofB] = [await b!.load(a!, round), await a!.load(b!, round)];
  return { hits: ofA.hits + ofB.hits, wrong: ofA.wrong + ofB.wrong };
}

/** The same with blocks that are saved now, at a server that has nothing of before. */
async function savedAgain(hosts: readonly Host[], round: number): Promise<{ hits: number; wrong: number }> {
  for (const host of hosts) host.startSaves(round);
  await Promise.all(hosts.map((host) => host.reuse(round)));
  for (const host of hosts) await host.visible(round);
  return exchanged(hosts, round);
}

const command = new Command('frozen-server')
  .description('freezes a published server, or cuts its connections, under saves of two hosts and verifies every byte')
  .addOption(
    new Option('--by <disturbance>', 'what happens to the server, or to every connection with it')
      .choices(['freeze', 'fin', 'rst', 'halfOpen'])
      .default('freeze'),
  )
  .option('--servers <n>', 'at how many servers side by side', Number, 1)
  .option('--freeze-ms <ms>', 'how long it is frozen each time', Number, 33_000)
  .option('--rounds <n>', 'how often, at each server', Number, 50)
  .addOption(
    new Option('--fencing <how>', 'whether the ranks kill a server that is silent')
      .choices(['off', 'kill'])
      .default('off'),
  )
  .parse();
process.exitCode = (await playAll(command.opts<Plan>())) ? 0 : 1;
