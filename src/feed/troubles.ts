import type { Fault } from '../../machines/index.ts';
import type { ConnectorStatus } from '../connector/index.ts';
import { redacted } from '../redacted.ts';
import type { Trouble } from './record.ts';

/** What somebody should look at although the state may be good. */
export function troublesIn({ openBreakers, missedRanks, heldLimit }: ConnectorStatus): readonly Trouble[] {
  return [
    ...openBreakers.map(({ breaker, fault }) => trouble(`${breaker} are turned off but for a try now and then`, fault)),
    ...missedRanks.map(({ rank, fault }) =>
      trouble(`rank ${rank} is missed, so queries miss and nothing is saved`, fault),
    ),
    ...(heldLimit ? [trouble('too much memory is held, so queries miss and nothing is saved', heldLimit.fault)] : []),
  ];
}

function trouble(what: string, { kind, message }: Fault): Trouble {
  return { what, message: `${kind}: ${redacted(message)}` };
}
