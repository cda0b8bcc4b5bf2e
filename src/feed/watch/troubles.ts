import { type Fault, isNoProof, proofInWords, WAYS_TO_PROOF } from '../../../machines/index.ts';
import type { ConnectorStatus } from '../../connector/index.ts';
import { redacted } from '../../redacted.ts';
import type { Trouble } from '../record.ts';

/** What somebody should look at although the state may be good. */
export function troublesIn({
  openBreakers,
  missedRanks,
  heldLimit,
  proofs,
  heldUpPreemptions,
}: ConnectorStatus): readonly Trouble[] {
  return [
    ...openBreakers.map(({ breaker, fault }) => trouble(`${breaker} are turned off but for a try now and then`, fault)),
    ...missedRanks.map(({ rank, fault }) =>
      trouble(`rank ${rank} is missed, so queries miss and nothing is saved`, fault),
    ),
    ...unprovable(proofs),
    ...(heldUpPreemptions > 0
      ? [
          {
            what: `${heldUpPreemptions} preemptions wait`,
            message: 'for proof that the server is done with their blocks',
          },
        ]
      : []),
    ...(heldLimit ? [trouble('too much memory is held, so queries miss and nothing is saved', heldLimit.fault)] : []),
  ];
}

/** Ranks that are alike in one. */
function unprovable(proofs: ConnectorStatus['proofs']): Trouble[] {
  const ranksByProof = Map.groupBy(
    proofs.filter(({ proof }) => isNoProof(proof)),
    ({ proof }) => proof,
  );
  return [...ranksByProof].map(([proof, ranks]) => {
    const names = ranks.map(({ rank }) => rank).join(', ');
    return {
      what: `nothing would prove to rank ${names} that the server is dead, so that what it holds stays held`,
      message: `proof: ${proofInWords(proof)}; ${WAYS_TO_PROOF}`,
    };
  });
}

function trouble(what: string, { kind, message }: Fault): Trouble {
  return { what, message: `${kind}: ${redacted(message)}` };
}
