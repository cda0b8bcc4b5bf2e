import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { within } from '../../support/within.ts';

const main = fileURLToPath(new URL('../../../src/cli/main.ts', import.meta.url));

/** For `node --import`: as if a package were not installed. */
const without = (name: string) =>
  `data:text/javascript,${encodeURIComponent(`
    import { registerHooks } from 'node:module';
    registerHooks({
      resolve(specifier, context, next) {
        if (specifier === '${name}') throw new Error('Cannot find package ${name}');
        return next(specifier, context);
      },
    });
  `)}`;

it.each([
  ['demo', '--otlp', 'http://127.0.0.1:1', '@opentelemetry/sdk-trace'],
  ['engine', '--otlp', 'http://127.0.0.1:1', '@opentelemetry/exporter-trace-otlp-http'],
  ['demo', '--metrics-port', '20000', '@opentelemetry/exporter-prometheus'],
])('%s %s %s names the command that installs %s', { timeout: 60_000 }, async (command, flag, value, missing) => {
  const child = spawn(process.execPath, ['--import', without(missing), main, command, flag, value], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const [said, [code]] = await within(50_000, 'the refusal', Promise.all([text(child.stderr), once(child, 'close')]));
  expect(code).toBe(2);
  expect(said).toMatch(/npm install .*@opentelemetry\//);
  expect(said).toContain(missing);
});
