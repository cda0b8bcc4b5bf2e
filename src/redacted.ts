/** Letters kept of what is shortened: enough to find it again, too few to use. */
const KEPT_LETTERS = 8;

/**
 * Runs as hashes, leases and handles are written: 16 letters of hex or base64 with a digit among them, 32 without, and
 * eight bytes as numbers.
 */
const LONG_RUNS = /(?=[\w+/=-]*\d)[\w+/=-]{16,}|[\w+/=-]{32,}|\d+(?:, *\d+){7,}/g;

/** Letters of a text that is told: a server's word may be as long as its message. */
const MAX_LETTERS = 1_000;

/**
 * A text in one line of at most 1,000 letters, without anything that could be a block hash, a lease or a handle beyond its
 * first letters.
 */
export function redacted(text: string): string {
  const line = text
    .replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, ' ')
    .replace(LONG_RUNS, (run) => `${run.slice(0, KEPT_LETTERS)}…`);
  return line.length <= MAX_LETTERS ? line : `${line.slice(0, MAX_LETTERS - 1)}…`;
}
