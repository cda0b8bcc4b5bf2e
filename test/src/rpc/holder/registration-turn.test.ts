import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { budgetsFrom } from '../../../../machines/index.ts';
import { takeTurn } from '../../../../src/rpc/holder/registration-turn.ts';
import { atEnd, own } from '../../../support/own.ts';
import { within } from '../../../support/within.ts';

const patient = budgetsFrom({ registrationTurnMs: 60_000 });
const place = { port: 50_055, deviceId: 3 };

const namesHeld = () => readFileSync('/proc/net/unix', 'utf8').match(/@pegaflow-register-\S+/g) ?? [];

describe('turns to register', () => {
  it('come one after another for one device of one server, and leave nothing behind', async () => {
    const first = (await takeTurn(place, patient))!;
    own((await takeTurn({ ...place, deviceId: 4 }, patient))!);
    own((await takeTurn({ ...place, port: 50_056 }, patient))!);
    let hasSecond = false;
    const second = takeTurn(place, patient).then((turn) => {
      hasSecond = true;
      return own(turn!);
    });
    expect(await takeTurn(place, budgetsFrom({ registrationTurnMs: 50 }))).toBeNull();
    expect(hasSecond).toBe(false);
    first[Symbol.dispose]();
    await within(20_000, 'the second turn', second);
    expect(namesHeld()).toContain('@pegaflow-register-50055-3');
    (await second)[Symbol.dispose]();
    own((await within(20_000, 'the third turn', takeTurn(place, patient)))!)[Symbol.dispose]();
    await expect.poll(namesHeld).not.toContain('@pegaflow-register-50055-3');
  });

  it('are not waited for any more once that was given up', async () => {
    own((await takeTurn(place, patient))!);
    const given = new AbortController();
    const waiting = takeTurn(place, patient, given.signal);
    given.abort();
    expect(await within(20_000, 'the end of the wait', waiting)).toBeNull();
  });

  it('end with the process that has one', async () => {
    const module = new URL('../../../../src/rpc/holder/registration-turn.ts', import.meta.url).href;
    const budgets = new URL('../../../../machines/index.ts', import.meta.url).href;
    const script = `
      import { takeTurn } from '${module}';
      import { budgetsFrom } from '${budgets}';
      console.log(await takeTurn({ port: 50055, deviceId: 3 }, budgetsFrom()) !== null);
      setInterval(() => {}, 1000);`;
    const args = ['--input-type=module', '--eval', script];
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    atEnd(() => child.kill('SIGKILL'));
    const [said] = await within(20_000, 'the turn of the other process', once(child.stdout, 'data'));
    expect(String(said).trim()).toBe('true');
    const turn = takeTurn(place, patient);
    child.kill('SIGKILL');
    own((await within(20_000, 'our turn', turn))!);
  });
});
