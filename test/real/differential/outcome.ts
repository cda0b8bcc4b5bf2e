/** What can be compared of one step at one server. */
export interface Outcome {
  /** `answer`, `state`, `visible`, `landed`, `http` … */
  readonly what: string;
  readonly text: string;
}

const CODES: Readonly<Record<string, number>> = {
  'The operation was cancelled': 1,
  'Unknown error': 2,
  'Client specified an invalid argument': 3,
  'Deadline expired before operation could complete': 4,
  'Some requested entity was not found': 5,
  'Some entity that we attempted to create already exists': 6,
  'The caller does not have permission to execute the specified operation': 7,
  'Some resource has been exhausted': 8,
  "The system is not in a state required for the operation's execution": 9,
  'The operation was aborted': 10,
  'Operation was attempted past the valid range': 11,
  'Operation is not implemented or not supported': 12,
  'Internal error': 13,
  'The service is currently unavailable': 14,
  'Unrecoverable data loss or corruption': 15,
  'The request does not have valid authentication credentials': 16,
};

const FAILED_CALL = /^\w+ RPC failed: code: (?:'([^']*(?:'s[^']*)?)'|"([^"]*)"), message: "((?:[^"\\]|\\.)*)"(.*)$/s;

/** `ValueError 3 "text"`, where the exception carries a status; its own words otherwise. */
export const exceptionText = ({ class: name, text }: { class: string; text: string }): string => {
  const match = FAILED_CALL.exec(text);
  if (match === null) return `${name}: ${text}`;
  const [, quoted, doubleQuoted, message, rest] = match;
  const description = quoted?.replaceAll("\\'", "'") ?? doubleQuoted ?? '';
  const code = CODES[description] ?? description;
  return `${name} ${code} "${message}"${rest}`;
};

/** Replaces what differs from run to run: names of runs and records, identities, addresses. */
export const normalized = (text: string): string =>
  text
    .replace(/\brun\d+-(?:(?:real|engine)-)?/g, '')
    .replace(/pega_load_[0-9a-f]{32}/g, 'pega_load_<hex>')
    .replace(/\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b/g, '<uuid>')
    .replace(/127\.0\.0\.\d+:\d+/g, '<address>')
    .replace(/\bpointer 0x[0-9a-f]+/g, 'pointer <address>')
    .replace(/StreamId\(\d+\)/g, 'StreamId(n)')
    // The server walks a hash map: which layer and device it names is its own affair.
    .replace(
      /layer \S+ registered with inconsistent geometry: .*? on device \d+/,
      'layer <any> registered with inconsistent geometry: <any>',
    )
    .replace(
      /layer \S+ registered in storage group \d+ on one device but group \d+ on device \d+/,
      'layer <any> registered in storage group <any>',
    )
    .replace(/layer (\S+) has no owner for tp_rank/, 'layer <any> has no owner for tp_rank');
