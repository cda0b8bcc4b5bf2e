/*
 * A stand-in for the CUDA driver (libcuda.so.1), as far as pegaflow-server calls it. Device memory is memory of this
 * process, mapped by the stand-in for torch. Copies are complete when they are queued.
 */
#include "control.h"
#include <stdint.h>
#include <sys/uio.h>

typedef int CUresult;
typedef unsigned long long CUdeviceptr;

enum {
  CUDA_SUCCESS = 0,
  CUDA_ERROR_OUT_OF_MEMORY = 2,
  CUDA_ERROR_INVALID_DEVICE = 101,
  CUDA_ERROR_ILLEGAL_ADDRESS = 700,
};

enum { COMPUTE_CAPABILITY_MAJOR = 75 };

static int device_count(void) {
  const char *count = getenv("PEGAFLOW_STAND_IN_DEVICES");
  return count ? atoi(count) : 8;
}

/* The kernel copies, so that memory which is not mapped any more is an error, as on a GPU, and not the end of the process. */
static CUresult copy(struct fault *fault, void *to, const void *from, size_t size) {
  CUresult error = obey(fault);
  if (error) return error;
  for (size_t done = 0; done < size;) {
    struct iovec target = {(char *)to + done, size - done}, source = {(char *)from + done, size - done};
    ssize_t copied = process_vm_readv(getpid(), &target, 1, &source, 1, 0);
    if (copied <= 0) return CUDA_ERROR_ILLEGAL_ADDRESS;
    done += copied;
  }
  return CUDA_SUCCESS;
}

CUresult cuInit(unsigned flags) { return CUDA_SUCCESS; }

CUresult cuDriverGetVersion(int *version) {
  *version = 13000;
  return CUDA_SUCCESS;
}

CUresult cuDeviceGetCount(int *count) {
  *count = device_count();
  return CUDA_SUCCESS;
}

CUresult cuDeviceGet(int *device, int ordinal) {
  if (ordinal < 0 || ordinal >= device_count()) return CUDA_ERROR_INVALID_DEVICE;
  *device = ordinal;
  return CUDA_SUCCESS;
}

CUresult cuDeviceGetName(char *name, int length, int device) {
  snprintf(name, length, "Stand-in");
  return CUDA_SUCCESS;
}

CUresult cuDeviceTotalMem_v2(size_t *size, int device) {
  *size = 8ull << 30;
  return CUDA_SUCCESS;
}

CUresult cuDeviceGetAttribute(int *value, int attribute, int device) {
  *value = attribute == COMPUTE_CAPABILITY_MAJOR ? 9 : 0;
  return CUDA_SUCCESS;
}

CUresult cuDeviceGetUuid_v2(unsigned char *uuid, int device) {
  memset(uuid, 0, 16);
  uuid[15] = device;
  return CUDA_SUCCESS;
}

CUresult cuDeviceGetUuid(unsigned char *uuid, int device) { return cuDeviceGetUuid_v2(uuid, device); }

CUresult cuDeviceGetPCIBusId(char *id, int length, int device) {
  snprintf(id, length, "0000:%02x:00.0", device);
  return CUDA_SUCCESS;
}

/* A context is its device's number, moved away from NULL. */
#define FIRST_CONTEXT 0x1000
static __thread uintptr_t current_context;

CUresult cuDevicePrimaryCtxRetain(uintptr_t *context, int device) {
  *context = FIRST_CONTEXT + device;
  return CUDA_SUCCESS;
}

CUresult cuDevicePrimaryCtxRelease_v2(int device) { return CUDA_SUCCESS; }

CUresult cuCtxGetCurrent(uintptr_t *context) {
  *context = current_context;
  return CUDA_SUCCESS;
}

CUresult cuCtxSetCurrent(uintptr_t context) {
  current_context = context;
  return CUDA_SUCCESS;
}

CUresult cuCtxGetDevice(int *device) {
  *device = current_context ? (int)(current_context - FIRST_CONTEXT) : 0;
  return CUDA_SUCCESS;
}

CUresult cuCtxGetFlags(unsigned *flags) {
  *flags = 0;
  return CUDA_SUCCESS;
}

CUresult cuCtxSetFlags(unsigned flags) { return CUDA_SUCCESS; }
CUresult cuCtxSynchronize(void) { return CUDA_SUCCESS; }

/* Streams and events are told apart by their address, and hold nothing. */
static CUresult create(void **object) {
  *object = malloc(1);
  return *object ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}

static CUresult destroy(void *object) {
  free(object);
  return CUDA_SUCCESS;
}

CUresult cuStreamCreate(void **stream, unsigned flags) { return create(stream); }
CUresult cuStreamCreateWithPriority(void **stream, unsigned flags, int priority) { return create(stream); }
CUresult cuStreamDestroy_v2(void *stream) { return destroy(stream); }
CUresult cuStreamSynchronize(void *stream) { return CUDA_SUCCESS; }
CUresult cuStreamQuery(void *stream) { return CUDA_SUCCESS; }
CUresult cuStreamWaitEvent(void *stream, void *event, unsigned flags) { return CUDA_SUCCESS; }
CUresult cuEventCreate(void **event, unsigned flags) { return create(event); }
CUresult cuEventRecord(void *event, void *stream) { return CUDA_SUCCESS; }
CUresult cuEventSynchronize(void *event) { return CUDA_SUCCESS; }
CUresult cuEventQuery(void *event) { return CUDA_SUCCESS; }
CUresult cuEventDestroy_v2(void *event) { return destroy(event); }

CUresult cuMemcpyHtoD_v2(CUdeviceptr to, const void *from, size_t size) {
  return copy(&copy_to_device, (void *)to, from, size);
}

CUresult cuMemcpyHtoDAsync_v2(CUdeviceptr to, const void *from, size_t size, void *stream) {
  return cuMemcpyHtoD_v2(to, from, size);
}

CUresult cuMemcpyDtoH_v2(void *to, CUdeviceptr from, size_t size) {
  return copy(&copy_from_device, to, (void *)from, size);
}

CUresult cuMemcpyDtoHAsync_v2(void *to, CUdeviceptr from, size_t size, void *stream) {
  return cuMemcpyDtoH_v2(to, from, size);
}

CUresult cuMemAlloc_v2(CUdeviceptr *memory, size_t size) {
  *memory = (CUdeviceptr)malloc(size);
  return *memory ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}

CUresult cuMemFree_v2(CUdeviceptr memory) { return destroy((void *)memory); }

CUresult cuMemHostAlloc(void **memory, size_t size, unsigned flags) {
  CUresult error = obey(&host_allocation);
  if (error) return error;
  return posix_memalign(memory, 4096, size) ? CUDA_ERROR_OUT_OF_MEMORY : CUDA_SUCCESS;
}

CUresult cuMemFreeHost(void *memory) { return destroy(memory); }

CUresult cuMemHostRegister_v2(void *memory, size_t size, unsigned flags) { return obey(&host_allocation); }
CUresult cuMemHostUnregister(void *memory) { return CUDA_SUCCESS; }

CUresult cuMemHostGetDevicePointer_v2(CUdeviceptr *device, void *host, unsigned flags) {
  *device = (CUdeviceptr)host;
  return CUDA_SUCCESS;
}

static const char *error_name(CUresult error) {
  switch (error) {
    case CUDA_SUCCESS: return "CUDA_SUCCESS";
    case CUDA_ERROR_OUT_OF_MEMORY: return "CUDA_ERROR_OUT_OF_MEMORY";
    case CUDA_ERROR_INVALID_DEVICE: return "CUDA_ERROR_INVALID_DEVICE";
    case CUDA_ERROR_ILLEGAL_ADDRESS: return "CUDA_ERROR_ILLEGAL_ADDRESS";
    default: return "CUDA_ERROR_UNKNOWN";
  }
}

CUresult cuGetErrorName(CUresult error, const char **name) {
  *name = error_name(error);
  return CUDA_SUCCESS;
}

CUresult cuGetErrorString(CUresult error, const char **text) { return cuGetErrorName(error, text); }
