import type { MachineName } from './coverage.ts';
import { pairsOf } from './pairs.ts';
import type { SeedResult } from './players.ts';
import { addTallies, noTallies } from './tallies.ts';

const MS_PER_HOUR = 3_600_000;

/** Sums what seeds tell. */
export class Report {
  readonly tallies = noTallies();
  readonly failures: SeedResult[] = [];
  #faultsByKind = new Map<string, number>();
  #seen = new Map<string, number>();

  add(result: SeedResult): void {
    addTallies(this.tallies, result.tallies);
    for (const [kind, count] of Object.entries(result.faultsByKind)) count_(this.#faultsByKind, kind, count);
    for (const [pair, count] of result.coverage) count_(this.#seen, pair, count);
    if (result.failure !== null) this.failures.push(result);
  }

  get json() {
    const { simulatedMs, ...counts } = this.tallies;
    return {
      simulatedHours: Number((simulatedMs / MS_PER_HOUR).toFixed(1)),
      ...counts,
      faultsByKind: Object.fromEntries([...this.#faultsByKind].toSorted()),
      coverage: { scheduler: this.#coverage('scheduler'), worker: this.#coverage('worker') },
      failures: this.failures.map(({ seed, failure }) => ({ seed, message: failure?.message })),
    };
  }

  /** For people; with `unseen` also the pairs that no seed met. */
  text({ unseen }: { readonly unseen: boolean }): string {
    const { tallies } = this;
    const { simulatedHours, faultsByKind, coverage } = this.json;
    const rows: [string, string][] = [
      ['seeds', `${amount(tallies.seeds)}, ${amount(this.failures.length)} failed`],
      ['simulated', `${simulatedHours} hours, ${amount(tallies.events)} events`],
      ['faults', `${amount(tallies.faults)}, ${amount(tallies.recoveries)} recoveries`],
      ['queries', amount(tallies.queries)],
      ['loads', `${amount(tallies.loads)}, ${amount(tallies.failedLoads)} failed`],
      ['saves', amount(tallies.saves)],
      ['verified', `${amount(tallies.verifiedBytes)} bytes`],
      ['without proof', `${amount(tallies.unprovable)} times blocks stayed held until the server was killed`],
      ['fenced', `${amount(tallies.fencings)} servers that were silent`],
      ['unsafe releases', `${amount(tallies.unsafeReleases)}, ${amount(tallies.unsafeTouches)} blocks touched after`],
      [
        'wrong blocks',
        `after unsafe releases: ${amount(tallies.lateWrite)} overwritten late, ` +
          `${amount(tallies.knowerGone)} whose process was gone, ${amount(tallies.wordUnderWay)} not heard of yet`,
      ],
      [
        'faults by kind',
        Object.entries(faultsByKind)
          .map(([kind, count]) => `${kind} ${amount(count)}`)
          .join(', '),
      ],
      ...Object.entries(coverage).map(([machine, { percent, pairs }]): [string, string] => [
        machine,
        `${percent} % of ${pairs} pairs of state and event that can do something`,
      ]),
    ];
    const lines = rows.map(([name, value]) => `${name.padEnd(16)} ${value}`);
    if (!unseen) return lines.join('\n');
    const missed = Object.entries(coverage).flatMap(([machine, found]) =>
      found.unseen.map((pair) => `${machine} ${pair}`),
    );
    return [...lines, '', `never seen:${missed.length === 0 ? ' nothing' : ''}`, ...missed].join('\n');
  }

  #coverage(machine: MachineName) {
    const pairs = pairsOf(machine);
    const unseen = pairs.filter((pair) => !this.#seen.has(pair)).map((pair) => pair.slice(machine.length + 1));
    return { pairs: pairs.length, percent: Number((100 * (1 - unseen.length / pairs.length)).toFixed(1)), unseen };
  }
}

const amount = (count: number) => count.toLocaleString('en-US');

function count_(counts: Map<string, number>, name: string, more: number): void {
  counts.set(name, (counts.get(name) ?? 0) + more);
}
