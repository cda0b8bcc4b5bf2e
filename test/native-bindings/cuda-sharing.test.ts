import { describeOnDouble } from './describe-on-double.ts';
import { createDoubleDriver } from './device-drivers.ts';
import { describeSharing } from './device-sharing.ts';

describeOnDouble('on a stand-in for libcudart', () => {
  describeSharing('CUDA double', createDoubleDriver, { sizesBytes: [1024, 64 * 1024, 2 * 1024 * 1024], replays: 3 });
});
