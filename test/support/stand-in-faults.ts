import { Code } from '@connectrpc/connect';
import type { FaultSwitches, MethodFault } from '../../src/engine/faults.ts';
import type { StandInFaults } from './stand-in-control.ts';

/** What a test rank copies for one block: two layers of two segments, each by a call of its own. */
const COPIES_PER_BLOCK = 4;
const LAYERS = 2;

const REGISTER_PREFIX = 'register tensor failed: ';

/** The switches of the embedded engine as faults of the stand-ins, and those that the stand-ins cannot bring about. */
export interface SplitSwitches {
  readonly standIns: StandInFaults;
  /** What is left for somebody between client and server. */
  readonly rest: FaultSwitches;
}

export function splitSwitches({ methods, copyDelayMs, copyAfterCloseMs, ...rest }: FaultSwitches): SplitSwitches {
  const { registerContextBatch, unregisterContext, ...others } = methods;
  const copy = copyDelayMs === undefined ? {} : { delayUs: (copyDelayMs * 1_000) / COPIES_PER_BLOCK };
  const open = registerContextBatch && openFaultFrom(registerContextBatch);
  const close = unregisterContext && closeFaultFrom(unregisterContext);
  const standIns = {
    copyToDevice: copy,
    copyFromDevice: copy,
    ...(open && { open }),
    close: { ...close, ...(copyAfterCloseMs !== undefined && { keepMs: copyAfterCloseMs }) },
  };
  const left = {
    ...others,
    ...(registerContextBatch && !open && { registerContextBatch }),
    ...(unregisterContext && !close && { unregisterContext }),
  };
  return { standIns, rest: { ...rest, methods: left } };
}

/** `null` for what a layer that is opened cannot bring about. */
function openFaultFrom({ hang, delayMs, refuse, times, loseAck, betweenStepsMs }: MethodFault) {
  if (loseAck || betweenStepsMs !== undefined) return null;
  if (refuse !== undefined && (refuse.code !== Code.Internal || refuse.retryPushbackMs !== undefined)) return null;
  return {
    ...(hang && { isBlocked: true }),
    ...(delayMs !== undefined && { delayMs: delayMs / LAYERS }),
    ...(refuse !== undefined && { error: refuse.message.replace(REGISTER_PREFIX, '') }),
    ...timesFrom(times, delayMs),
  };
}

function closeFaultFrom({ hang, delayMs, refuse, times, loseAck, betweenStepsMs }: MethodFault) {
  if (loseAck || betweenStepsMs !== undefined || refuse !== undefined) return null;
  return {
    ...(hang && { isBlocked: true }),
    ...(delayMs !== undefined && { delayMs: delayMs / LAYERS }),
    ...timesFrom(times, delayMs),
  };
}

/** One call that hangs or fails is enough for a whole RPC; a delay is made of those of all layers. */
function timesFrom(times: number | undefined, delayMs: number | undefined) {
  if (times === undefined) return {};
  return { times: delayMs === undefined ? times : times * LAYERS };
}
