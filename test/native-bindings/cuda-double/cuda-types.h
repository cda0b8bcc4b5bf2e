/* The types of driver_types.h and cuda.h (CUDA 12 and 13) that the bindings declare, restated for machines without CUDA. */
#include <stddef.h>

typedef int cudaError_t;
typedef struct CUstream_st *cudaStream_t;

enum cudaMemcpyKind { cudaMemcpyHostToDevice = 1, cudaMemcpyDeviceToHost = 2, cudaMemcpyDeviceToDevice = 3 };
enum cudaMemoryType { cudaMemoryTypeUnregistered = 0, cudaMemoryTypeHost = 1, cudaMemoryTypeDevice = 2 };

#define cudaIpcMemLazyEnablePeerAccess 0x01

typedef struct {
  char reserved[64];
} cudaIpcMemHandle_t;

struct cudaPointerAttributes {
  enum cudaMemoryType type;
  int device;
  void *devicePointer;
  void *hostPointer;
  long reserved[8]; /* CUDA 13 only */
};

typedef struct {
  char bytes[16];
} CUuuid;
