/** What errors of the operating system say to people. */

/** Failures of this process or host at whatever it does: what is wrong, and what to do. */
const LOCAL_FAILURES = new Map([
  ['EMFILE', 'this process has no file descriptor left: raise its limit (ulimit -n), or find what keeps them open'],
  ['ENFILE', 'this host has no file descriptor left: raise fs.file-max, or find what keeps them open'],
]);

const NO_MEMORY = 'this host has no memory left for sockets: see net.ipv4.tcp_mem and the limits of its container';
const NOT_ALLOWED = 'this host does not let us connect: see its firewall and the security policy of this process';

/** The same, where it connects. */
const LOCAL_FAILURES_TO_CONNECT = new Map([
  ['ENOBUFS', NO_MEMORY],
  ['ENOMEM', NO_MEMORY],
  ['EADDRNOTAVAIL', 'this host has no local address or port left for it: see net.ipv4.ip_local_port_range'],
  ['EACCES', NOT_ALLOWED],
  ['EPERM', NOT_ALLOWED],
]);

function hintOf({ code = '', syscall }: NodeJS.ErrnoException): string | undefined {
  return LOCAL_FAILURES.get(code) ?? (syscall === 'connect' ? LOCAL_FAILURES_TO_CONNECT.get(code) : undefined);
}

/** The failures at several addresses of one name, or the one failure. */
function failuresOf(error: unknown): readonly unknown[] {
  return error instanceof AggregateError && error.errors.length > 0 ? error.errors.flatMap(failuresOf) : [error];
}

/** The codes of an error, one for each address that was tried. */
export function errorCodes(error: unknown): readonly string[] {
  return failuresOf(error).map((failure) => String((failure as Partial<NodeJS.ErrnoException> | null)?.code ?? ''));
}

/** Whether nobody but this process or its host is at fault. */
export function isLocalFailure(error: unknown): boolean {
  return failuresOf(error).every((failure) => failure instanceof Error && hintOf(failure) !== undefined);
}

/** What an error says, never nothing: of a name with several addresses what each of them said. */
export function errorText(error: unknown): string {
  return [...new Set(failuresOf(error).map(textOf))].join('; ');
}

function textOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { code, message, name } = error as NodeJS.ErrnoException;
  const hint = hintOf(error);
  const said = message || code || name;
  return hint === undefined ? said : `${hint} (${said})`;
}
