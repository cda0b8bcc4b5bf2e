import { setTimeout } from 'node:timers/promises';
import { ConnectorInstance } from '../connector-instance.ts';
import { type Figure, figureFrom } from '../figure.ts';
import { HandWrittenLoop } from '../hand-written-loop.ts';
import { RankMemory } from '../rank-memory.ts';
import type { Recovering } from '../recovering.ts';
import type { MeasuredServer } from '../servers/measured-server.ts';
import type { ServerChoice } from '../servers/server-choice.ts';
import { median } from '../statistics.ts';

export interface RecoveryOptions {
  readonly rankCounts: readonly number[];
  /** Kills of each contestant at each rank count. */
  readonly rounds: number;
  readonly server: ServerChoice;
  readonly progress: (text: string) => void;
}

const NUM_BLOCKS = 8;

/** What a registration leaves to be done in the background must not count as detection, in milliseconds. */
const CALM_MS = 250;

interface Times {
  /** From the kill until it is noticed, in milliseconds. */
  readonly detectionMs: number;
  /** From the new server's listening until all ranks are registered, in milliseconds. */
  readonly recoveryMs: number;
}

const contestants = {
  product: ({ endpoint }: MeasuredServer, memory: RankMemory) => new ConnectorInstance(endpoint, memory).start(),
  floor: (server: MeasuredServer, memory: RankMemory) => new HandWrittenLoop(server, memory, 'ownLinks').start(),
  oneLink: (server: MeasuredServer, memory: RankMemory) => new HandWrittenLoop(server, memory, 'oneLink').start(),
};

type Contestant = keyof typeof contestants;
const names = Object.keys(contestants) as Contestant[];

/**
 * Kills the server under each contestant in turn and starts it again at the same port. The first round warms the code
 * up and does not count.
 */
export async function measureRecovery({ rankCounts, rounds, server, progress }: RecoveryOptions): Promise<Figure[]> {
  const figures: Figure[] = [];
  const recoveryMs = new Map<number, number>();
  for (const worldSize of rankCounts) {
    const times = await measureRanks(worldSize, rounds, server, progress);
    const of = (name: Contestant, time: keyof Times) => times[name].map((sample) => sample[time]);
    recoveryMs.set(worldSize, median(of('product', 'recoveryMs')));
    const ranks = `${worldSize} rank${worldSize === 1 ? '' : 's'}`;
    figures.push(
      figureFrom({
        name: `detection, ${ranks}`,
        unit: 'ms',
        product: of('product', 'detectionMs'),
        floor: of('floor', 'detectionMs'),
        target: { of: 'ratio', atMost: 1.2 },
      }),
      figureFrom({
        name: `recovery, ${ranks}`,
        unit: 'ms',
        product: of('product', 'recoveryMs'),
        floor: of('floor', 'recoveryMs'),
        ...(worldSize === 2 ? { target: { of: 'ratio', atMost: 2 } as const } : {}),
      }),
      figureFrom({
        name: `recovery, ${ranks}, floor over one link`,
        unit: 'ms',
        product: of('product', 'recoveryMs'),
        floor: of('oneLink', 'recoveryMs'),
      }),
    );
  }
  return [...figures, ...growthOf(recoveryMs, rounds)];
}

async function measureRanks(worldSize: number, rounds: number, choice: ServerChoice, progress: (text: string) => void) {
  const memory = new RankMemory(worldSize, NUM_BLOCKS);
  const times: Record<Contestant, Times[]> = { product: [], floor: [], oneLink: [] };
  const server = await choice.start(worldSize);
  try {
    for (let round = 0; round <= rounds; round += 1) {
      progress(`recovery, ${worldSize} ranks, round ${round} of ${rounds}`);
      const order = round % 2 === 0 ? names : names.toReversed();
      for (const name of order) {
        const time = await restartUnder(contestants[name](server, memory), server);
        if (round > 0) times[name].push(time);
      }
    }
  } finally {
    await server[Symbol.asyncDispose]();
    memory[Symbol.dispose]();
  }
  return times;
}

async function restartUnder(subject: Recovering, server: MeasuredServer): Promise<Times> {
  const { service } = subject;
  try {
    await service.turned('up');
    await setTimeout(CALM_MS);
    const down = service.turned('down');
    const killedAtMs = server.kill();
    const detectionMs = (await down) - killedAtMs;
    const [upAtMs, { atMs }] = await Promise.all([service.turned('up'), server.start()]);
    return { detectionMs, recoveryMs: upAtMs - atMs };
  } finally {
    await subject[Symbol.asyncDispose]();
  }
}

/** How much longer the largest instance takes than the smallest, against how many more ranks it has. */
function growthOf(recoveryMs: ReadonlyMap<number, number>, samples: number): Figure[] {
  const counts = [...recoveryMs.keys()].toSorted((a, b) => a - b);
  const [fewest, most] = [counts[0], counts.at(-1)];
  if (fewest === undefined || most === undefined || fewest === most) return [];
  const growth = recoveryMs.get(most)! / recoveryMs.get(fewest)!;
  const target = { of: 'value', atMost: most / fewest } as const;
  const name = `recovery, growth from ${fewest} to ${most} ranks`;
  return [
    { name, unit: '×', value: growth, floor: null, ratio: null, samples, target, isMet: growth <= target.atMost },
  ];
}
