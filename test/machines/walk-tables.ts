/** What a walk must find, said by hand and compared exactly. */
export interface Tables {
  /** States that are left as soon as they are entered, so that no event meets them. */
  readonly passedThrough: readonly string[];
  /** Events from outside that do nothing in a state, whatever the situation. */
  readonly ignored: readonly Ignored[];
  /** States that no time ends, with what ends them. */
  readonly endless: Readonly<Record<string, string>>;
  /** States that no way leads from to `connected`. */
  readonly leaving: readonly string[];
}

interface Ignored {
  readonly event: string;
  readonly because: string;
  readonly in: readonly string[];
}
