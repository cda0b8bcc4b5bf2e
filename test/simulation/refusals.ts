import { Code } from '@connectrpc/connect';
import type { MethodRefusal, RpcMethod } from '../../src/engine/faults.ts';
import type { Random } from './random.ts';

/** Answers in the place of those that a call hoped for: the server's own words, and words that nobody knows. */
const refusals: readonly MethodRefusal[] = [
  { code: Code.Internal, message: 'storage error: pinned pool exhausted while allocating 64 bytes' },
  { code: Code.Internal, message: 'storage error: cuMemcpyDtoHAsync failed: CUDA_ERROR_ILLEGAL_ADDRESS' },
  { code: Code.Internal, message: 'words that nobody has seen before' },
  { code: Code.Internal, message: 'storage error: query lease is unknown or expired' },
  { code: Code.FailedPrecondition, message: 'instance i0 not found' },
  { code: Code.FailedPrecondition, message: 'device 0 not found in instance i0' },
  {
    code: Code.InvalidArgument,
    message: 'invalid argument: instance i0 registration incomplete: 1/2 workers registered',
  },
  { code: Code.ResourceExhausted, message: 'too many requests' },
  { code: Code.Unavailable, message: 'the service is restarting' },
];

/** One that the method may be answered with. Of what an Unregister finds nothing of, nothing stays mapped either. */
export function refusalOf(method: RpcMethod, random: Random): MethodRefusal {
  const isHonest = ({ code }: MethodRefusal) => method !== 'unregisterContext' || code !== Code.FailedPrecondition;
  return random.pick(refusals.filter(isHonest));
}
