import { allPairs, type MachineName } from './coverage.ts';
import type { SeedResult } from './players.ts';
import { addTallies, noTallies } from './tallies.ts';

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
    const { tallies } = this;
    return {
      ...tallies,
      simulatedHours: Number((tallies.simulatedMs / 3_600_000).toFixed(1)),
      faultsByKind: Object.fromEntries([...this.#faultsByKind].toSorted()),
      coverage: { scheduler: this.#coverage('scheduler'), worker: this.#coverage('worker') },
      failures: this.failures.map(({ seed, failure }) => ({ seed, message: failure?.message })),
    };
  }

  get text(): string {
    const { coverage, faultsByKind, failures: _, ...counts } = this.json;
    const lines = Object.entries(counts).map(([name, value]) => `${name.padEnd(20)} ${value}`);
    const kinds = Object.entries(faultsByKind).map(([kind, count]) => `${kind} ${count}`);
    const covered = Object.entries(coverage).map(
      ([machine, { percent, unseen }]) =>
        `${machine}: ${percent} % of state × event pairs; never seen: ${unseen.join(', ') || 'none'}`,
    );
    return [...lines, `faults by kind       ${kinds.join(', ')}`, ...covered].join('\n');
  }

  #coverage(machine: MachineName) {
    const pairs = allPairs(machine);
    const unseen = pairs.filter((pair) => !this.#seen.has(pair)).map((pair) => pair.slice(machine.length + 1));
    return { pairs: pairs.length, percent: Number((100 * (1 - unseen.length / pairs.length)).toFixed(1)), unseen };
  }
}

function count_(counts: Map<string, number>, name: string, more: number): void {
  counts.set(name, (counts.get(name) ?? 0) + more);
}
