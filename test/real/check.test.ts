import { describe, expect, it } from 'vitest';
import type { CheckReport } from '../../src/check/check.ts';
import { startCommand } from '../stories/demo-process.ts';
import { own } from '../support/own.ts';
import { RealServer } from '../support/real-server.ts';
import { publishedVersions } from './published-wheels.ts';

const warningsIn = (log: string) => log.split('\n').filter((line) => / WARN /.test(line)).length;

describe.each(publishedVersions)('check against pegaflow-server %s', { timeout: 60_000 }, (version) => {
  it.each([
    ['without --write', []],
    ['with --write', ['--write']],
  ])('counts the warnings that it causes %s, and leaves no instance', async (_, flags) => {
    const server = own(await RealServer.start({ version }));
    const before = warningsIn(server.log);
    const where = [`http://${server.grpcAddress}`, '--http-url', `http://${server.httpAddress}`];
    const { stdout } = await startCommand('check', ...where, ...flags, '--json').ended;
    const report = JSON.parse(stdout) as CheckReport;
    expect(report.serverVersion).toBe(version);
    expect(report.items.filter(({ outcome }) => outcome === 'not kept')).toEqual([]);
    expect(report.items.filter(({ outcome }) => outcome === 'kept').length).toBeGreaterThan(15);
    expect(report.savedBlocks > 0).toBe(flags.length > 0);
    expect((await server.http('GET', '/instances')).text).toBe('{"instances":[]}');
    expect(warningsIn(server.log) - before).toBe(report.warnings);
  });
});
