import { test } from 'vitest';
import { noCompiler } from './cuda-double/build.ts';
import { describeDeviceDriver } from './device-driver-contract.ts';
import { deviceDrivers } from './device-drivers.ts';

if (noCompiler === null) describeDeviceDriver('CUDA double', deviceDrivers['CUDA double']);
else test('the CUDA driver keeps the contract on a stand-in for libcudart', ({ skip }) => skip(noCompiler ?? ''));
