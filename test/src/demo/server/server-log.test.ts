import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { ServerLog } from '../../../../src/demo/server/server-log.ts';
import { atEnd, own } from '../../../support/own.ts';

const stamp = '2026-11-30T16:35:02.312683+00:00  ';
const refusal = (ms: number) =>
  `${stamp} WARN pegaflow_server::service: service.rs:${ms} RPC [save] failed: message=instance demo-0f7b1c9e-5a3f-4c1b-9e77-0123456789ab not found elapsed_ms=${ms}.5`;

describe("the server's log", () => {
  test('counts warnings and errors, those that differ in numbers and ids alone together', () => {
    const log = new ServerLog(null);
    for (const line of [
      `${stamp} INFO pegaflow_server: lib.rs:481 Starting, ERROR-free`,
      refusal(1),
      refusal(22),
      `\u001b[31m${stamp}ERROR pegaflow_server: lib.rs:737 Server error: transport error\u001b[0m`,
      '{"level":40,"msg":"RPC [load] failed"}',
      '{"level":30,"msg":"SIGINT: draining"}',
      "thread 'main' panicked at src/ssd.rs:12:",
    ])
      log.write(line);
    expect(log.report()).toEqual({
      warnings: 3,
      errors: 2,
      lines: [
        {
          level: 'WARN',
          text: 'pegaflow_server::service: service.rs:… RPC [save] failed: message=instance … not found elapsed_ms=…',
          count: 2,
        },
        { level: 'ERROR', text: 'pegaflow_server: lib.rs:… Server error: transport error', count: 1 },
        { level: 'WARN', text: 'RPC [load] failed', count: 1 },
        { level: 'ERROR', text: "thread 'main' panicked at src/ssd.rs:…:", count: 1 },
      ],
    });
  });

  test('says why a server ended by the line that tells most, of that server alone', () => {
    const log = new ServerLog(null);
    log.write('Error: of the server before');
    log.begin();
    expect(log.lastWords).toBe('');
    log.write('starting');
    expect(log.lastWords).toBe('starting');
    log.write('Error: AddrInUse');
    log.write('bye');
    expect(log.lastWords).toBe('Error: AddrInUse');
  });

  test('keeps every line in the file, and none once it is closed', () => {
    const folder = mkdtempSync(join(tmpdir(), 'pegaflow-log-'));
    atEnd(() => rmSync(folder, { recursive: true }));
    const path = join(folder, 'server.log');
    const log = own(new ServerLog(path));
    log.write('one');
    log[Symbol.dispose]();
    log.write('two');
    expect(readFileSync(path, 'utf8')).toBe('one\n');
  });
});
