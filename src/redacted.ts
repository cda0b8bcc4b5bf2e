/** Letters kept of what is shortened: enough to find it again, too few to use. */
const KEPT_LETTERS = 8;

/**
 * Runs as hashes, leases and handles are written: 16 letters of hex or base64 with a digit among them, 32 without, and
 * eight bytes as numbers.
 */
const LONG_RUNS = /(?=[\w+/=-]*\d)[\w+/=-]{16,}|[\w+/=-]{32,}|\d+(?:, ?\d+){7,}/g;

/** A text in one line, without anything that could be a block hash, a lease or a handle beyond its first letters. */
export function redacted(text: string): string {
  return text.replace(/\p{Cc}+/gu, ' ').replace(LONG_RUNS, (run) => `${run.slice(0, KEPT_LETTERS)}…`);
}
