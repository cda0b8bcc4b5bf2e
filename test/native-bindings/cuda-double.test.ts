import { describeOnDouble } from './describe-on-double.ts';
import { describeDeviceDriver } from './device-driver-contract.ts';
import { deviceDrivers } from './device-drivers.ts';

describeOnDouble('on a stand-in for libcudart', () => {
  describeDeviceDriver('CUDA double', deviceDrivers['CUDA double']);
});
