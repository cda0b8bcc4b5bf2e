/** An `_Out_` parameter: the value is put into the array. A null pointer arrives as `null`. */
export type Out<T> = [T];

export type Pointer = bigint;

/** Memory of this process, or an address in it. */
export type HostPointer = Uint8Array | bigint;

/** A struct of 64 bytes. */
export interface Reserved {
  reserved: Uint8Array;
}

export interface PointerAttributes {
  type: number;
  device: number;
}

/** The prototypes of declarations.ts in TypeScript. Each call answers a `cudaError_t`, but for the two that name one. */
export interface RuntimeCalls {
  cudaRuntimeGetVersion(version: Out<number>): number;
  cudaDriverGetVersion(version: Out<number>): number;
  cudaGetErrorName(code: number): string;
  cudaGetErrorString(code: number): string;
  cudaGetLastError(): number;

  cudaGetDeviceCount(count: Out<number>): number;
  cudaSetDevice(device: number): number;
  cudaGetDevice(device: Out<number>): number;
  cudaDeviceGetPCIBusId(text: Uint8Array, lengthBytes: number, device: number): number;
  cudaMemGetInfo(freeBytes: Out<number>, totalBytes: Out<number>): number;

  cudaMalloc(pointer: Out<Pointer | null>, sizeBytes: number): number;
  cudaFree(pointer: Pointer): number;
  cudaMemcpy(to: HostPointer, from: HostPointer, lengthBytes: number, kind: number): number;
  cudaMemset(pointer: Pointer, byte: number, lengthBytes: number): number;
  cudaPointerGetAttributes(attributes: Partial<PointerAttributes>, pointer: Pointer): number;

  cudaIpcGetMemHandle(handle: Partial<Reserved>, pointer: Pointer): number;
  cudaIpcOpenMemHandle(pointer: Out<Pointer | null>, handle: Reserved, flags: number): number;
  cudaIpcCloseMemHandle(pointer: Pointer): number;

  cudaStreamSynchronize(stream: Pointer): number;
}

/** Each answers a `CUresult`, which has the numbers of `cudaError_t`. */
export interface DriverCalls {
  cuDeviceGet(device: Out<number>, ordinal: number): number;
  cuDeviceGetUuid_v2(uuid: { bytes?: Uint8Array }, device: number): number;
  cuMemGetAddressRange_v2(base: Out<number | bigint>, sizeBytes: Out<number | bigint>, pointer: Pointer): number;
}
