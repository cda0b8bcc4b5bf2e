/**
 * C prototypes of the CUDA runtime (cuda_runtime_api.h) and the few of the driver that the runtime has no call for (cuda.h),
 * the same in CUDA 12 and 13. Enumerations are `int`, streams and events are opaque pointers.
 */
export const runtimePrototypes = {
  cudaRuntimeGetVersion: 'int cudaRuntimeGetVersion(_Out_ int *runtimeVersion)',
  cudaDriverGetVersion: 'int cudaDriverGetVersion(_Out_ int *driverVersion)',
  cudaGetErrorName: 'const char *cudaGetErrorName(int error)',
  cudaGetErrorString: 'const char *cudaGetErrorString(int error)',
  cudaGetLastError: 'int cudaGetLastError()',

  cudaGetDeviceCount: 'int cudaGetDeviceCount(_Out_ int *count)',
  cudaSetDevice: 'int cudaSetDevice(int device)',
  cudaGetDevice: 'int cudaGetDevice(_Out_ int *device)',
  cudaDeviceGetPCIBusId: 'int cudaDeviceGetPCIBusId(char *pciBusId, int len, int device)',
  cudaDeviceSynchronize: 'int cudaDeviceSynchronize()',
  cudaMemGetInfo: 'int cudaMemGetInfo(_Out_ size_t *free, _Out_ size_t *total)',

  cudaMalloc: 'int cudaMalloc(_Out_ void **devPtr, size_t size)',
  cudaFree: 'int cudaFree(void *devPtr)',
  cudaMemcpy: 'int cudaMemcpy(void *dst, const void *src, size_t count, int kind)',
  cudaMemcpyAsync: 'int cudaMemcpyAsync(void *dst, const void *src, size_t count, int kind, void *stream)',
  cudaMemset: 'int cudaMemset(void *devPtr, int value, size_t count)',
  cudaPointerGetAttributes: 'int cudaPointerGetAttributes(_Out_ cudaPointerAttributes *attributes, const void *ptr)',
  cudaHostRegister: 'int cudaHostRegister(void *ptr, size_t size, unsigned int flags)',
  cudaHostUnregister: 'int cudaHostUnregister(void *ptr)',

  cudaIpcGetMemHandle: 'int cudaIpcGetMemHandle(_Out_ cudaIpcMemHandle_t *handle, void *devPtr)',
  cudaIpcOpenMemHandle: 'int cudaIpcOpenMemHandle(_Out_ void **devPtr, cudaIpcMemHandle_t handle, unsigned int flags)',
  cudaIpcCloseMemHandle: 'int cudaIpcCloseMemHandle(void *devPtr)',
  cudaIpcGetEventHandle: 'int cudaIpcGetEventHandle(_Out_ cudaIpcEventHandle_t *handle, void *event)',
  cudaIpcOpenEventHandle: 'int cudaIpcOpenEventHandle(_Out_ void **event, cudaIpcEventHandle_t handle)',

  cudaStreamCreateWithFlags: 'int cudaStreamCreateWithFlags(_Out_ void **pStream, unsigned int flags)',
  cudaStreamDestroy: 'int cudaStreamDestroy(void *stream)',
  cudaStreamSynchronize: 'int cudaStreamSynchronize(void *stream)',
  cudaStreamQuery: 'int cudaStreamQuery(void *stream)',
  cudaStreamWaitEvent: 'int cudaStreamWaitEvent(void *stream, void *event, unsigned int flags)',
  cudaEventCreateWithFlags: 'int cudaEventCreateWithFlags(_Out_ void **event, unsigned int flags)',
  cudaEventRecord: 'int cudaEventRecord(void *event, void *stream)',
  cudaEventQuery: 'int cudaEventQuery(void *event)',
  cudaEventSynchronize: 'int cudaEventSynchronize(void *event)',
  cudaEventDestroy: 'int cudaEventDestroy(void *event)',
} as const;

export const driverPrototypes = {
  cuDeviceGet: 'int cuDeviceGet(_Out_ int *device, int ordinal)',
  /** Of the MIG instance where there is one, as `nvidia-smi -L` and torch name it. */
  cuDeviceGetUuid_v2: 'int cuDeviceGetUuid_v2(_Out_ CUuuid *uuid, int dev)',
  cuMemGetAddressRange_v2:
    'int cuMemGetAddressRange_v2(_Out_ unsigned long long *pbase, _Out_ size_t *psize, unsigned long long dptr)',
} as const;

/** The structs of those prototypes (driver_types.h, cuda.h), member by member. */
export const structs = {
  cudaIpcMemHandle_t: { reserved: 'uint8_t [64]' },
  cudaIpcEventHandle_t: { reserved: 'uint8_t [64]' },
  /** CUDA 13 added `reserved`; CUDA 12 leaves it alone. */
  cudaPointerAttributes: {
    type: 'int',
    device: 'int',
    devicePointer: 'void *',
    hostPointer: 'void *',
    reserved: 'int64_t [8]',
  },
  CUuuid: { bytes: 'uint8_t [16]' },
} as const;

/** cudaError_t (driver_types.h), where the code itself decides what is done. */
export const cudaSuccess = 0;
export const cudaErrorStubLibrary = 34;
export const cudaErrorInsufficientDriver = 35;
export const cudaErrorNoDevice = 100;
export const cudaErrorNotReady = 600;

/** cudaMemcpyKind (driver_types.h). */
export const cudaMemcpyHostToDevice = 1;
export const cudaMemcpyDeviceToHost = 2;

/** Where calls without a stream go. */
export const DEFAULT_STREAM = 0n;

/** cudaMemoryType (driver_types.h). */
export const cudaMemoryTypeDevice = 2;

/** The only flag that cudaIpcOpenMemHandle knows, and it must be given. */
export const cudaIpcMemLazyEnablePeerAccess = 0x01;
/** A stream that does not wait for stream 0, nor stream 0 for it. */
export const cudaStreamNonBlocking = 0x01;
/** What an event needs to have a handle: `cudaEventDisableTiming | cudaEventInterprocess`. */
export const interprocessEventFlags = 0x02 | 0x04;
/** Pinned for every device, not only for the current one. */
export const cudaHostRegisterPortable = 0x01;
