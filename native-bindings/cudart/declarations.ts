/**
 * C prototypes of the CUDA runtime (cuda_runtime_api.h) and the few of the driver that the runtime has no call for (cuda.h),
 * the same in CUDA 12 and 13. Enumerations are `int`, streams are opaque pointers.
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
  cudaMemGetInfo: 'int cudaMemGetInfo(_Out_ size_t *free, _Out_ size_t *total)',

  cudaMalloc: 'int cudaMalloc(_Out_ void **devPtr, size_t size)',
  cudaFree: 'int cudaFree(void *devPtr)',
  cudaMemcpy: 'int cudaMemcpy(void *dst, const void *src, size_t count, int kind)',
  cudaMemset: 'int cudaMemset(void *devPtr, int value, size_t count)',
  cudaPointerGetAttributes: 'int cudaPointerGetAttributes(_Out_ cudaPointerAttributes *attributes, const void *ptr)',

  cudaIpcGetMemHandle: 'int cudaIpcGetMemHandle(_Out_ cudaIpcMemHandle_t *handle, void *devPtr)',
  cudaIpcOpenMemHandle: 'int cudaIpcOpenMemHandle(_Out_ void **devPtr, cudaIpcMemHandle_t handle, unsigned int flags)',
  cudaIpcCloseMemHandle: 'int cudaIpcCloseMemHandle(void *devPtr)',

  cudaStreamSynchronize: 'int cudaStreamSynchronize(void *stream)',
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

/** cudaMemcpyKind (driver_types.h). */
export const cudaMemcpyHostToDevice = 1;
export const cudaMemcpyDeviceToHost = 2;

/** Where calls without a stream go. */
export const DEFAULT_STREAM = 0n;

/** cudaMemoryType (driver_types.h). */
export const cudaMemoryTypeDevice = 2;

/** The only flag that cudaIpcOpenMemHandle knows, and it must be given. */
export const cudaIpcMemLazyEnablePeerAccess = 0x01;
