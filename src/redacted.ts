/** Letters kept of what is shortened: enough to find it again, too few to use. */
const KEPT_LETTERS = 8;

/**
 * Runs as hashes, leases and handles are written: 16 letters of hex or base64 with a digit among them, 32 without, and
 * eight bytes as numbers.
 */
const LONG_RUNS = /(?=[\w+/=-]*\d)[\w+/=-]{16,}|[\w+/=-]{32,}|\d+(?:, *\d+){7,}/g;

/** Letters of a text that is told: a server's word may be as long as its message. */
const MAX_LETTERS = 1_000;

/** What stands before the host of a URL, with its `@`: a user and a password. */
const USER_INFO = /([a-z][a-z\d+.-]*:\/\/)\S*@/gi;
/** A query or fragment, which may hold a token. */
const QUERY = /([a-z][a-z\d+.-]*:\/\/[^\s?#]*)[?#]\S*/gi;

/**
 * A text in one line of at most 1,000 letters, without anything that could be a block hash, a lease or a handle beyond its
 * first letters, and of URLs without user, password and query.
 */
export function redacted(text: string): string {
  const line = text
    .replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, ' ')
    .replace(USER_INFO, '$1…@')
    .replace(QUERY, '$1?…')
    .replace(LONG_RUNS, (run) => `${run.slice(0, KEPT_LETTERS)}…`);
  return line.length <= MAX_LETTERS ? line : `${line.slice(0, MAX_LETTERS - 1)}…`;
}

/** An endpoint as it is told: its host and port without user, password and query, also where it is no URL. */
export function publicEndpoint(endpoint: string): string {
  return endpoint.replace(/^([a-z][a-z\d+.-]*:\/\/)?.*@/is, '$1…@').replace(/[?#].*$/s, '?…');
}
