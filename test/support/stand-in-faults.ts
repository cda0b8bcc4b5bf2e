import { Code } from '@connectrpc/connect';
import type { FaultPatch, FaultSwitches, MethodFault } from '../../src/engine/faults.ts';
import type { StandInFaults } from './stand-in-control.ts';

/** What a test rank copies for one block: two layers of two segments, each by a call of its own. */
const COPIES_PER_BLOCK = 4;
const LAYERS = 2;

const REGISTER_PREFIX = 'register tensor failed: ';

/** The switches of the embedded engine, by who can bring about the same at a published server. */
export interface SplitSwitches {
  readonly standIns: StandInFaults;
  /** The thread that registers is to be kept busy. */
  readonly isThreadHeld: boolean;
  /** Is left for a process between client and server. */
  readonly rpcs: FaultSwitches;
}

/** @throws Error for what nobody can bring about */
export function splitSwitches({ methods, ...others }: FaultSwitches): SplitSwitches {
  const { copyDelayMs, copyAfterCloseMs, version, answerLoading, ...impossible } = others;
  for (const { betweenStepsMs } of Object.values(methods))
    Object.assign(impossible, betweenStepsMs && { betweenStepsMs });
  const names = Object.keys(impossible);
  if (names.length > 0) throw new Error(`a published server has no ${names.join(', ')}`);
  const copy = copyDelayMs === undefined ? {} : { delayUs: (copyDelayMs * 1_000) / COPIES_PER_BLOCK };
  const { registerContextBatch, unregisterContext, ...rest } = methods;
  const open = registerContextBatch && openFaultFrom(registerContextBatch);
  const isThreadHeld = isHeldBy(unregisterContext);
  return {
    standIns: {
      copyToDevice: copy,
      copyFromDevice: copy,
      ...(open && { open }),
      ...(copyAfterCloseMs !== undefined && { close: { keepMs: copyAfterCloseMs } }),
    },
    isThreadHeld,
    rpcs: {
      ...(version !== undefined && { version }),
      ...(answerLoading !== undefined && { answerLoading }),
      methods: {
        ...rest,
        ...(registerContextBatch && !open && { registerContextBatch }),
        ...(unregisterContext && !isThreadHeld && { unregisterContext }),
      },
    },
  };
}

/** Of a change to the switches, what is for the process in between. */
export function rpcPatchOf({ methods, version, answerLoading }: FaultPatch): FaultPatch {
  const { registerContextBatch: register, unregisterContext: unregister, ...rest } = methods ?? {};
  return {
    ...(version !== undefined && { version }),
    ...(answerLoading !== undefined && { answerLoading }),
    methods: {
      ...rest,
      ...(register !== undefined && { registerContextBatch: register && openFaultFrom(register) ? null : register }),
      ...(unregister !== undefined && { unregisterContext: unregister && isHeldBy(unregister) ? null : unregister }),
    },
  };
}

const isHeldBy = (unregisterContext: MethodFault | undefined): boolean => unregisterContext?.hang === true;

/** `null` for what a layer that is opened cannot bring about. */
function openFaultFrom({ hang, delayMs, refuse, times, loseAck }: MethodFault): StandInFaults['open'] | null {
  if (loseAck) return null;
  if (refuse !== undefined && (refuse.code !== Code.Internal || refuse.retryPushbackMs !== undefined)) return null;
  return {
    ...(hang && { isBlocked: true }),
    ...(delayMs !== undefined && { delayMs: delayMs / LAYERS }),
    ...(refuse !== undefined && { error: refuse.message.replace(REGISTER_PREFIX, '') }),
    // One layer that hangs or fails is enough for a whole RPC; a delay is made of those of all layers.
    ...(times !== undefined && { times: delayMs === undefined ? times : times * LAYERS }),
  };
}
