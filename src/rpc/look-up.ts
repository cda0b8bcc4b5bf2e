import dns, { type LookupAddress, type LookupOptions } from 'node:dns';
import type { LookupFunction } from 'node:net';

/** As long as an answer counts as new, a failure included: dials come far more often. */
const KEPT_MS = 1_000;

interface Name {
  /** Of the last look-up that succeeded. */
  addresses: readonly LookupAddress[];
  error: NodeJS.ErrnoException | null;
  /** When the last look-up ended, in milliseconds of the monotonic clock. */
  endedMs: number;
  isUnderWay: boolean;
  waiting: (() => void)[];
}

/** Asks the resolver of the host. */
export type Resolve = (
  hostname: string,
  options: LookupOptions & { readonly all: true },
  done: (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void,
) => void;

/**
 * Look-ups of names for dials. Nobody can cancel one, and each holds a thread that the host's own file and name operations
 * need, perhaps for minutes: there is one under way for a name at most, its end counts for a second, and meanwhile the
 * addresses of the one before are dialled.
 */
export class LookUps {
  #names = new Map<string, Name>();
  #resolve: Resolve;

  constructor(resolve: Resolve = (...asked) => dns.lookup(...asked)) {
    this.#resolve = resolve;
  }

  /** For `net.connect`. */
  readonly lookup: LookupFunction = (hostname, options, done) => {
    const name = this.#nameOf(hostname);
    const isNew = performance.now() - name.endedMs < KEPT_MS;
    if (!isNew && !name.isUnderWay) this.#begin(hostname, name);
    const answer = () => {
      const [first] = name.addresses;
      if (!first) done(name.error, '', undefined);
      else if (options.all) done(null, [...name.addresses]);
      else done(null, first.address, first.family);
    };
    // Never within the call: `net` does not expect it.
    if (isNew || name.addresses.length > 0) process.nextTick(answer);
    else name.waiting.push(answer);
  };

  #begin(hostname: string, name: Name): void {
    name.isUnderWay = true;
    this.#resolve(hostname, { all: true }, (error, addresses) => {
      name.isUnderWay = false;
      name.endedMs = performance.now();
      name.error = error;
      // What was found before is dialled on while the resolver does not know better.
      if (!error) name.addresses = addresses;
      for (const answer of name.waiting.splice(0)) answer();
    });
  }

  #nameOf(hostname: string): Name {
    const known = this.#names.get(hostname);
    if (known) return known;
    const name = { addresses: [], error: null, endedMs: Number.NEGATIVE_INFINITY, isUnderWay: false, waiting: [] };
    this.#names.set(hostname, name);
    return name;
  }
}

/** Of this process. */
export const lookUps = new LookUps();
