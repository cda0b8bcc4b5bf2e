import { it } from 'vitest';
import { type ChildEngineOptions, type ChildProcessOptions, EngineProcess } from './engine-process.ts';
import { RealServer } from './real-server.ts';
import type { ServerProcess } from './server-process.ts';
import { publishedUnderTest } from './version-under-test.ts';

export interface ServerOptions extends Omit<ChildEngineOptions, 'httpAddr'> {
  readonly httpAddr?: string;
  /** See `RealServerOptions`; the embedded engine has switches of its own. */
  readonly hasRpcFaults?: boolean;
}

/** The server that this run of the tests is about, as a process of its own on free ports. */
export async function startServer(
  { hasRpcFaults, ...options }: ServerOptions = {},
  how: ChildProcessOptions = {},
): Promise<ServerProcess> {
  if (publishedUnderTest === null) return EngineProcess.start(options, how);
  const { leaseTtlMs, pingIntervalMs, pingTimeoutMs, version, faults, ...rest } = options;
  const missing = Object.entries({ leaseTtlMs, pingIntervalMs, pingTimeoutMs }).filter(
    ([, value]) => value !== undefined,
  );
  if (missing.length > 0) throw new Error(`pegaflow-server has no ${missing.map(([name]) => name).join(', ')}`);
  const { launcher = [], ignoresSigterm } = how;
  return RealServer.start({
    version: publishedUnderTest,
    ...rest,
    faults: { ...faults, ...(version !== undefined && { version }) },
    launcher: [...launcher, ...(ignoresSigterm ? ['env', '--ignore-signal=TERM'] : [])],
    ...(hasRpcFaults && { hasRpcFaults }),
  });
}

/** What some tests need of a server, and why a published one does not have it. */
export const absences = {
  'leases that end at once': 'a lease lives for 600 s, and no flag makes that less',
  'a pause between its two stores': 'nothing of ours runs between the registry of memory and that of instances',
  'copies that end with their registration':
    'memory that is registered again has the same address, and a copy under way goes on there',
  'many lives in one process':
    'a server that has ended takes its mappings along, so that nothing can add up over several of them',
  'a life as another user': 'the Python that it brings is readable for its owner alone',
  'registrations without copy threads': 'the server starts two with each',
  'a crash that copies on': 'a process that is killed takes its memory along at once',
} as const;

/** `it` for what a published server does not have; there it is not a test at all. The words are for the list of them. */
export function itNeeds(_what: keyof typeof absences): typeof it {
  return publishedUnderTest === null ? it : declaresNothing;
}

const declaresNothing = Object.assign(() => {}, { each: () => () => {} }) as unknown as typeof it;
