/*
 * A stand-in for libcudart and the part of libcuda that the bindings use, with the same exported symbols, on POSIX shared
 * memory: so that the declarations run across real processes without a GPU. It is as strict as it can be: a device belongs
 * to a thread, a copy must lie inside one allocation, and small copies to the device and fills happen when the default stream
 * is waited for, as the documentation of CUDA warns.
 *
 * CUDA_DOUBLE_DEVICES         how many devices there are; default 2
 * CUDA_DOUBLE_INIT_ERROR      what cudaGetDeviceCount answers instead of a number
 * CUDA_DOUBLE_DRIVER_VERSION  default 13000; 0 is a machine without a driver, and an older major than the runtime's is too old
 * CUDA_DOUBLE_RUNTIME_VERSION default 13000, or what RUNTIME_VERSION was defined as
 * CUDA_DOUBLE_MEMORY_BYTES    memory of all devices together; default 256 MiB
 * CUDA_DOUBLE_VERSION_ERROR   what cudaDriverGetVersion answers instead of a version
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cuda-types.h"

#ifndef RUNTIME_VERSION
#define RUNTIME_VERSION 13000
#endif

enum {
  SUCCESS = 0,
  INVALID_VALUE = 1,
  MEMORY_ALLOCATION = 2,
  INSUFFICIENT_DRIVER = 35,
  NO_DEVICE = 100,
  INVALID_DEVICE = 101,
  DEVICE_UNINITIALIZED = 201,
  MAP_BUFFER_OBJECT_FAILED = 205,
  INVALID_RESOURCE_HANDLE = 400,
};

static const struct {
  int code;
  const char *name;
} names[] = {
    {SUCCESS, "cudaSuccess"},
    {INVALID_VALUE, "cudaErrorInvalidValue"},
    {MEMORY_ALLOCATION, "cudaErrorMemoryAllocation"},
    {34, "cudaErrorStubLibrary"},
    {INSUFFICIENT_DRIVER, "cudaErrorInsufficientDriver"},
    {NO_DEVICE, "cudaErrorNoDevice"},
    {INVALID_DEVICE, "cudaErrorInvalidDevice"},
    {DEVICE_UNINITIALIZED, "cudaErrorDeviceUninitialized"},
    {MAP_BUFFER_OBJECT_FAILED, "cudaErrorMapBufferObjectFailed"},
    {INVALID_RESOURCE_HANDLE, "cudaErrorInvalidResourceHandle"},
    {803, "cudaErrorSystemDriverMismatch"},
};

typedef struct region {
  struct region *next;
  unsigned char *base;
  size_t size;
  int device;
  int opens; /* 0: allocated here; otherwise how often the handle is open */
  char name[64];
  cudaIpcMemHandle_t handle;
} region;

/* A copy on the default stream, from a copy of its source. */
typedef struct step {
  struct step *next;
  void *dst;
  size_t count;
  void *staged;
} step;

/* What a handle holds; the rest of its 64 bytes is zero. */
typedef struct {
  char magic[8];
  int32_t pid;
  int32_t device;
  uint32_t id;
  uint32_t padding;
  uint64_t size;
} identity;

static const char MAGIC[8] = "CUDOUBLE";

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static region *regions;
static uint32_t next_id;
static step *queued_steps;
static _Thread_local int current_device;
static _Thread_local int last_error;

static int fail(int code) {
  if (code != SUCCESS) last_error = code;
  return code;
}

static long setting(const char *name, long fallback) {
  const char *text = getenv(name);
  return text && *text ? atol(text) : fallback;
}

static int device_count(void) { return (int)setting("CUDA_DOUBLE_DEVICES", 2); }

static region *region_of(const void *pointer, size_t count) {
  const unsigned char *from = pointer;
  for (region *r = regions; r; r = r->next)
    if (from >= r->base && from + count <= r->base + r->size) return r;
  return NULL;
}

static void forget(region *gone) {
  for (region **at = &regions; *at; at = &(*at)->next)
    if (*at == gone) {
      *at = gone->next;
      munmap(gone->base, gone->size);
      if (gone->opens == 0) shm_unlink(gone->name);
      free(gone);
      return;
    }
}

static void append(void *dst, void *staged, size_t count) {
  step *made = malloc(sizeof *made);
  *made = (step){.dst = dst, .count = count, .staged = staged};
  step **at = &queued_steps;
  while (*at) at = &(*at)->next;
  *at = made;
}

static void run_queued(void) {
  while (queued_steps) {
    step *done = queued_steps;
    queued_steps = done->next;
    memcpy(done->dst, done->staged, done->count);
    free(done->staged);
    free(done);
  }
}

/* Whatever uses the default stream comes after what was put there before. */
static void lock_in_order(void) {
  pthread_mutex_lock(&lock);
  run_queued();
}

/* Device memory is freed with its process. */
__attribute__((destructor)) static void leave(void) {
  for (region *r = regions; r; r = r->next)
    if (r->opens == 0) shm_unlink(r->name);
}

cudaError_t cudaRuntimeGetVersion(int *version) {
  *version = (int)setting("CUDA_DOUBLE_RUNTIME_VERSION", RUNTIME_VERSION);
  return SUCCESS;
}

cudaError_t cudaDriverGetVersion(int *version) {
  *version = (int)setting("CUDA_DOUBLE_DRIVER_VERSION", 13000);
  return fail((int)setting("CUDA_DOUBLE_VERSION_ERROR", SUCCESS));
}

cudaError_t cudaGetDeviceCount(int *count) {
  int error = (int)setting("CUDA_DOUBLE_INIT_ERROR", 0);
  int runtime, driver;
  cudaRuntimeGetVersion(&runtime);
  cudaDriverGetVersion(&driver);
  if (driver / 1000 < runtime / 1000) error = INSUFFICIENT_DRIVER;
  *count = error ? 0 : device_count();
  if (!error && *count == 0) error = NO_DEVICE;
  return fail(error);
}

cudaError_t cudaSetDevice(int device) {
  if (device < 0 || device >= device_count()) return fail(INVALID_DEVICE);
  current_device = device;
  return SUCCESS;
}

cudaError_t cudaGetDevice(int *device) {
  *device = current_device;
  return SUCCESS;
}

cudaError_t cudaDeviceGetPCIBusId(char *text, int length, int device) {
  if (device < 0 || device >= device_count()) return fail(INVALID_DEVICE);
  if (snprintf(text, (size_t)length, "0000:%02X:00.0", device + 1) >= length) return fail(INVALID_VALUE);
  return SUCCESS;
}

static size_t taken(void) {
  size_t sum = 0;
  for (region *r = regions; r; r = r->next)
    if (r->opens == 0) sum += r->size;
  return sum;
}

static size_t capacity(void) { return (size_t)setting("CUDA_DOUBLE_MEMORY_BYTES", 256l << 20); }

cudaError_t cudaMemGetInfo(size_t *free_bytes, size_t *total) {
  pthread_mutex_lock(&lock);
  *total = capacity();
  *free_bytes = *total - taken();
  pthread_mutex_unlock(&lock);
  return SUCCESS;
}

static unsigned char *map_object(const char *name, int flags, size_t size) {
  int fd = shm_open(name, flags, 0600);
  if (fd < 0) return NULL;
  int failed = (flags & O_CREAT) && (ftruncate(fd, (off_t)size) != 0 || posix_fallocate(fd, 0, (off_t)size) != 0);
  struct stat seen;
  if (!failed) failed = fstat(fd, &seen) != 0 || (size_t)seen.st_size < size;
  void *base = failed ? MAP_FAILED : mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  close(fd);
  if (base != MAP_FAILED) return base;
  if (flags & O_CREAT) shm_unlink(name);
  return NULL;
}

static void name_object(char *name, int32_t pid, uint32_t id) {
  snprintf(name, 64, "/pegaflow_test_%d_cuda%u", pid, id);
}

cudaError_t cudaMalloc(void **pointer, size_t size) {
  if (!pointer || size == 0) return fail(INVALID_VALUE);
  pthread_mutex_lock(&lock);
  int code = size > capacity() - taken() ? MEMORY_ALLOCATION : SUCCESS;
  region *made = code ? NULL : calloc(1, sizeof *made);
  if (made) {
    identity who = {.pid = getpid(), .device = current_device, .id = next_id++, .size = size};
    memcpy(who.magic, MAGIC, sizeof MAGIC);
    memcpy(&made->handle, &who, sizeof who);
    name_object(made->name, who.pid, who.id);
    made->size = size;
    made->device = current_device;
    made->base = map_object(made->name, O_CREAT | O_EXCL | O_RDWR, size);
    if (made->base) {
      made->next = regions;
      regions = made;
      *pointer = made->base;
    } else {
      free(made);
      code = MEMORY_ALLOCATION;
    }
  }
  pthread_mutex_unlock(&lock);
  return fail(code);
}

cudaError_t cudaFree(void *pointer) {
  if (!pointer) return SUCCESS;
  lock_in_order();
  region *r = region_of(pointer, 1);
  int ok = r && r->base == pointer && r->opens == 0;
  if (ok) forget(r);
  pthread_mutex_unlock(&lock);
  return fail(ok ? SUCCESS : INVALID_VALUE);
}

static int check_copy(void *dst, const void *src, size_t count, int kind) {
  int ok = kind >= cudaMemcpyHostToDevice && kind <= cudaMemcpyDeviceToDevice;
  if (kind != cudaMemcpyDeviceToHost) ok = ok && region_of(dst, count);
  if (kind != cudaMemcpyHostToDevice) ok = ok && region_of(src, count);
  return ok ? SUCCESS : INVALID_VALUE;
}

cudaError_t cudaMemcpy(void *dst, const void *src, size_t count, enum cudaMemcpyKind kind) {
  lock_in_order();
  int code = check_copy(dst, src, count, kind);
  int is_staged = kind == cudaMemcpyHostToDevice && count <= 64 * 1024;
  if (code == SUCCESS && is_staged) {
    void *staged = malloc(count);
    memcpy(staged, src, count);
    append(dst, staged, count);
  }
  pthread_mutex_unlock(&lock);
  if (code == SUCCESS && !is_staged) memmove(dst, src, count);
  return fail(code);
}

cudaError_t cudaMemset(void *pointer, int value, size_t count) {
  lock_in_order();
  int ok = region_of(pointer, count) != NULL;
  if (ok) {
    void *staged = malloc(count);
    memset(staged, value, count);
    append(pointer, staged, count);
  }
  pthread_mutex_unlock(&lock);
  return fail(ok ? SUCCESS : INVALID_VALUE);
}

/* There is no stream but the default one. */
cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  if (stream) return fail(INVALID_RESOURCE_HANDLE);
  lock_in_order();
  pthread_mutex_unlock(&lock);
  return SUCCESS;
}

cudaError_t cudaPointerGetAttributes(struct cudaPointerAttributes *attributes, const void *pointer) {
  memset(attributes, 0, sizeof *attributes);
  pthread_mutex_lock(&lock);
  region *r = region_of(pointer, 1);
  attributes->type = r ? cudaMemoryTypeDevice : cudaMemoryTypeUnregistered;
  attributes->device = r ? r->device : -2;
  attributes->devicePointer = r ? (void *)pointer : NULL;
  pthread_mutex_unlock(&lock);
  return SUCCESS;
}

cudaError_t cudaIpcGetMemHandle(cudaIpcMemHandle_t *handle, void *pointer) {
  pthread_mutex_lock(&lock);
  region *r = region_of(pointer, 1);
  int ok = r && r->opens == 0;
  if (ok) *handle = r->handle;
  pthread_mutex_unlock(&lock);
  return fail(ok ? SUCCESS : INVALID_VALUE);
}

static int open_region(void **pointer, const cudaIpcMemHandle_t *handle) {
  identity who;
  memcpy(&who, handle, sizeof who);
  if (memcmp(who.magic, MAGIC, sizeof MAGIC) != 0) return INVALID_RESOURCE_HANDLE;
  if (who.pid == getpid()) return DEVICE_UNINITIALIZED;
  if (who.pid <= 0 || (kill(who.pid, 0) != 0 && errno == ESRCH)) return INVALID_VALUE;
  for (region *r = regions; r; r = r->next)
    if (r->opens > 0 && memcmp(&r->handle, handle, sizeof *handle) == 0) {
      r->opens++;
      *pointer = r->base;
      return SUCCESS;
    }
  region *made = calloc(1, sizeof *made);
  name_object(made->name, who.pid, who.id);
  made->base = map_object(made->name, O_RDWR, who.size);
  if (!made->base) {
    free(made);
    return MAP_BUFFER_OBJECT_FAILED;
  }
  made->size = who.size;
  made->device = who.device;
  made->handle = *handle;
  made->opens = 1;
  made->next = regions;
  regions = made;
  *pointer = made->base;
  return SUCCESS;
}

cudaError_t cudaIpcOpenMemHandle(void **pointer, cudaIpcMemHandle_t handle, unsigned int flags) {
  if (flags != cudaIpcMemLazyEnablePeerAccess) return fail(INVALID_VALUE);
  pthread_mutex_lock(&lock);
  int code = open_region(pointer, &handle);
  pthread_mutex_unlock(&lock);
  return fail(code);
}

cudaError_t cudaIpcCloseMemHandle(void *pointer) {
  lock_in_order();
  region *r = region_of(pointer, 1);
  int ok = r && r->base == pointer && r->opens > 0;
  if (ok && --r->opens == 0) {
    r->opens = 1;
    forget(r);
  }
  pthread_mutex_unlock(&lock);
  return fail(ok ? SUCCESS : INVALID_VALUE);
}

const char *cudaGetErrorName(cudaError_t error) {
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (names[i].code == (int)error) return names[i].name;
  return "unrecognized error code";
}

const char *cudaGetErrorString(cudaError_t error) { return error ? "said by the double" : "no error"; }

cudaError_t cudaGetLastError(void) {
  int error = last_error;
  last_error = SUCCESS;
  return error;
}

/* libcuda */

int cuDeviceGet(int *device, int ordinal) {
  if (ordinal < 0 || ordinal >= device_count()) return INVALID_DEVICE;
  *device = ordinal;
  return SUCCESS;
}

int cuDeviceGetUuid_v2(CUuuid *uuid, int device) {
  if (device < 0 || device >= device_count()) return INVALID_DEVICE;
  for (int i = 0; i < 16; i++) uuid->bytes[i] = (char)(0xa0 + i);
  uuid->bytes[15] = (char)device;
  return SUCCESS;
}

int cuMemGetAddressRange_v2(unsigned long long *base, size_t *size, unsigned long long pointer) {
  pthread_mutex_lock(&lock);
  region *r = region_of((void *)(uintptr_t)pointer, 1);
  if (r) {
    *base = (unsigned long long)(uintptr_t)r->base;
    *size = r->size;
  }
  pthread_mutex_unlock(&lock);
  return r ? SUCCESS : INVALID_VALUE;
}
