/**
 * The story of `self-dial.test.ts`, to be run in a namespace of its own. With the usual range of ports a dial meets itself
 * once in some ten thousand; with a range of sixteen, within the first few.
 */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import type { Fault } from '../../machines/index.ts';
import { startServer } from '../support/server-under-test.ts';
import { TestInstance } from '../support/test-instance.ts';
import { eventually } from '../support/within.ts';

execFileSync('ip', ['link', 'set', 'lo', 'up']);
writeFileSync('/proc/sys/net/ipv4/ip_local_port_range', '50056 50071');

const addr = '127.0.0.1:50056';

const early = new TestInstance(`http://${addr}`);
const meetings = new Set<Fault>();
try {
  early.start();
  await eventually('some dials to meet themselves', () => {
    const { fault } = early.scheduler.status;
    if (fault?.message.endsWith('the dial met itself')) meetings.add(fault);
    return meetings.size >= 5 ? true : null;
  });
} finally {
  // A dial that has just met itself may hold the port for a moment, and this engine asks for it only once.
  await early[Symbol.asyncDispose]();
}

const engine = await startServer({ addr });
const late = new TestInstance(`http://${addr}`);
try {
  late.start();
  await late.reached('connected');
} finally {
  await late[Symbol.asyncDispose]();
  await engine[Symbol.asyncDispose]();
}
