import type { RuntimeCalls } from '../cudart/calls.ts';

export interface ThreadSetup {
  readonly libraryPath: string;
  readonly deviceId: number;
}

/** Memory of this process is named by address: both threads live in it. */
export interface ThreadRequest {
  readonly id: number;
  readonly name: keyof RuntimeCalls;
  readonly args: readonly unknown[];
}

export interface ThreadReply extends ThreadRequest {
  /** The `cudaError_t` that the call answered; `name` is `cudaSetDevice` where it did not come to what was asked. */
  readonly code: number;
}
