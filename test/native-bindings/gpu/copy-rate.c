/*
 * Measures libcudart from C, for the bindings to be compared with.
 *
 *   copy-rate <libcudart> copy <bytes> <rounds>    one round per line: nanoseconds to the device, nanoseconds back
 *   copy-rate <libcudart> call <calls> <rounds>    one round per line: nanoseconds of one cudaGetDevice, one copy of 64 bytes
 *                                                  to the device, one cudaIpcGetMemHandle, the last two with cudaSetDevice
 *
 * A copy to the device is waited for, as the bindings do: it may return while the bytes are still on their way.
 * Host memory was touched before, so that what is measured is the copy and not the paging of either program.
 */
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef struct {
  char reserved[64];
} handle;

static double now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1e9 + now.tv_nsec;
}

static void must(int code, const char *what) {
  if (code == 0) return;
  fprintf(stderr, "%s answered %d\n", what, code);
  exit(1);
}

int main(int count, char **args) {
  if (count != 5) return 2;
  void *library = dlopen(args[1], RTLD_NOW);
  if (!library) {
    fprintf(stderr, "%s\n", dlerror());
    return 1;
  }
  int (*set_device)(int) = dlsym(library, "cudaSetDevice");
  int (*get_device)(int *) = dlsym(library, "cudaGetDevice");
  int (*allocate)(void **, size_t) = dlsym(library, "cudaMalloc");
  int (*release)(void *) = dlsym(library, "cudaFree");
  int (*copy)(void *, const void *, size_t, int) = dlsym(library, "cudaMemcpy");
  int (*wait)(void *) = dlsym(library, "cudaStreamSynchronize");
  int (*get_handle)(handle *, void *) = dlsym(library, "cudaIpcGetMemHandle");

  int is_copy = strcmp(args[2], "copy") == 0;
  size_t bytes = is_copy ? strtoull(args[3], NULL, 10) : 64;
  long calls = is_copy ? 1 : atol(args[3]);
  int rounds = atoi(args[4]);
  void *device = NULL;
  void *host = aligned_alloc(4096, (bytes + 4095) & ~(size_t)4095);
  memset(host, 1, bytes);
  must(set_device(0), "cudaSetDevice");
  must(allocate(&device, bytes), "cudaMalloc");

  for (int round = 0; round < rounds; round++) {
    if (is_copy) {
      double start = now_ns();
      must(copy(device, host, bytes, 1), "cudaMemcpy");
      must(wait(NULL), "cudaStreamSynchronize");
      double there = now_ns();
      must(copy(host, device, bytes, 2), "cudaMemcpy");
      printf("%.0f %.0f\n", there - start, now_ns() - there);
      continue;
    }
    int current;
    handle out;
    double start = now_ns();
    for (long i = 0; i < calls; i++) get_device(&current);
    double asked = now_ns();
    for (long i = 0; i < calls; i++) {
      set_device(0);
      copy(device, host, bytes, 1);
      wait(NULL);
    }
    double copied = now_ns();
    for (long i = 0; i < calls; i++) {
      set_device(0);
      get_handle(&out, device);
    }
    printf("%.2f %.2f %.2f\n", (asked - start) / calls, (copied - asked) / calls, (now_ns() - copied) / calls);
  }
  must(release(device), "cudaFree");
  return 0;
}
