import { test } from 'vitest';
import { noCompiler } from './cuda-double/build.ts';
import { createDoubleDriver } from './device-drivers.ts';
import { describeSharing } from './device-sharing.ts';

const extent = { sizesBytes: [1024, 64 * 1024, 2 * 1024 * 1024], replays: 3 };

if (noCompiler === null) describeSharing('CUDA double', createDoubleDriver, extent);
else test('memory shared by the CUDA driver on a stand-in', ({ skip }) => skip(noCompiler ?? ''));
