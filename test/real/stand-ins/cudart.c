/* A stand-in for the CUDA runtime (libcudart.so), as far as pegaflow-server calls it: the memory of its pool. */
#include "control.h"
#include <sys/mman.h>

typedef int cudaError_t;

enum { cudaSuccess = 0, cudaErrorMemoryAllocation = 2 };

cudaError_t cudaRuntimeGetVersion(int *version) {
  *version = 12080;
  return cudaSuccess;
}

cudaError_t cudaDriverGetVersion(int *version) {
  *version = 13000;
  return cudaSuccess;
}

cudaError_t cudaGetDeviceCount(int *count) {
  const char *given = getenv("PEGAFLOW_STAND_IN_DEVICES");
  *count = given ? atoi(given) : 8;
  return cudaSuccess;
}

cudaError_t cudaGetDevice(int *device) {
  *device = 0;
  return cudaSuccess;
}

cudaError_t cudaSetDevice(int device) { return cudaSuccess; }
cudaError_t cudaDeviceSynchronize(void) { return cudaSuccess; }

/* Mapped on demand: a pool costs what is used of it. */
cudaError_t cudaHostAlloc(void **memory, size_t size, unsigned flags) {
  cudaError_t error = obey(&host_allocation);
  if (error) return error;
  void *mapped = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapped == MAP_FAILED) return cudaErrorMemoryAllocation;
  *memory = mapped;
  return cudaSuccess;
}

/* The server frees its pool at its end, when the process gives everything back anyway. */
cudaError_t cudaFreeHost(void *memory) { return cudaSuccess; }

cudaError_t cudaHostRegister(void *memory, size_t size, unsigned flags) { return obey(&host_allocation); }
cudaError_t cudaHostUnregister(void *memory) { return cudaSuccess; }

cudaError_t cudaHostGetDevicePointer(void **device, void *host, unsigned flags) {
  *device = host;
  return cudaSuccess;
}

const char *cudaGetErrorName(cudaError_t error) {
  return error == cudaErrorMemoryAllocation ? "cudaErrorMemoryAllocation" : "cudaErrorUnknown";
}

const char *cudaGetErrorString(cudaError_t error) { return cudaGetErrorName(error); }
cudaError_t cudaGetLastError(void) { return cudaSuccess; }
