import { createEmulatedDriver, type DeviceDriver } from '../../native-bindings/index.ts';

/** The drivers that the contract suite knows how to make, here and in the process of a peer. */
export const deviceDrivers = {
  emulated: () => createEmulatedDriver(),
} satisfies Record<string, () => DeviceDriver>;

export type DriverKind = keyof typeof deviceDrivers;
