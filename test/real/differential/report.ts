import { LISTED_DIFFERENCES } from './listed-differences.ts';
import type { Difference, Played } from './play.ts';
import { kindOf } from './shrink.ts';
import type { Sequence } from './step.ts';

interface Told {
  readonly sequence: string;
  readonly kept: readonly number[] | null;
  readonly difference: Difference;
}

/** What all sequences came to. */
export class Report {
  readonly #version: string;
  readonly #listed = new Map<string, number>();
  readonly #unlisted = new Map<string, number>();
  readonly #told: Told[] = [];
  #sequences = 0;
  #outcomes = 0;
  #randomOutcomes = 0;
  #equal = 0;

  constructor(version: string) {
    this.#version = version;
  }

  /** Those of random sequences. */
  get randomOutcomes(): number {
    return this.#randomOutcomes;
  }

  get unlistedCount(): number {
    return [...this.#unlisted.values()].reduce((sum, count) => sum + count, 0);
  }

  /** Returns the unlisted differences of a kind that was not met before. */
  add({ isRandom }: Sequence, { outcomes, equal, listed, unlisted }: Played): readonly Difference[] {
    this.#sequences += 1;
    this.#outcomes += outcomes;
    if (isRandom) this.#randomOutcomes += outcomes;
    this.#equal += equal;
    for (const [id, count] of listed) this.#listed.set(id, (this.#listed.get(id) ?? 0) + count);
    return unlisted.filter((difference) => {
      const kind = kindOf(difference);
      const count = this.#unlisted.get(kind) ?? 0;
      this.#unlisted.set(kind, count + 1);
      return count === 0;
    });
  }

  /** `kept` names the steps of a shrunk sequence. */
  tell({ name }: Sequence, difference: Difference, kept: readonly number[] | null): void {
    this.#told.push({ sequence: name, difference, kept });
  }

  get #notMet(): readonly string[] {
    return LISTED_DIFFERENCES.map(({ id }) => id).filter((id) => !this.#listed.has(id));
  }

  get json(): object {
    return {
      version: this.#version,
      sequences: this.#sequences,
      outcomes: this.#outcomes,
      randomOutcomes: this.#randomOutcomes,
      equal: this.#equal,
      listed: Object.fromEntries(this.#listed),
      listedButNotMet: this.#notMet,
      unlisted: this.#told.map(({ sequence, kept, difference }) => ({
        sequence,
        kept,
        ...difference,
        occurrences: this.#unlisted.get(kindOf(difference)) ?? 1,
      })),
    };
  }

  get text(): string {
    const listed = [...this.#listed].map(([id, count]) => `  listed    ${id}: ${count}`);
    const told = this.#told.map(({ sequence, kept, difference }) => {
      const { step, what, real, engine, index } = difference;
      const again = kept === null ? `step ${index}` : `--seed ${sequence.replace('seed ', '')} --steps ${kept.join()}`;
      const count = this.#unlisted.get(kindOf(difference)) ?? 1;
      return `  unlisted  ${sequence}, ${again}, ${count} times\n    ${JSON.stringify(step)}\n    ${what}\n      real    ${real}\n      engine  ${engine}`;
    });
    const head = `pegaflow ${this.#version}: ${this.#sequences} sequences, ${this.#outcomes} outcomes (${this.#randomOutcomes} of random ones), ${this.#equal} equal, ${this.unlistedCount} unlisted differences`;
    const notMet = this.#notMet.map((id) => `  not met   ${id}`);
    return [head, ...listed, ...notMet, ...told].join('\n');
  }
}
