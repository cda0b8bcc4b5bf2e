/*
 * What a test asks of the stand-ins while the server runs: lines of "name number" in the file that
 * PEGAFLOW_STAND_IN_CONTROL names. The test replaces the file as a whole, so that it is read before or after a change and
 * never in between. Without the variable, or without the file, everything works as it should.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* How one kind of call goes wrong. */
struct fault {
  const char *name;
  /* Microseconds before the call does anything. */
  long delay_us;
  /* Not 0: the call waits until the file says 0. */
  long block;
  /* Not 0: the call fails with this CUresult. */
  long error;
  /* How many calls this holds for since the file was changed; -1: all. */
  long times;
  long taken;
};

static struct fault copy_to_device = {.name = "copy_to_device", .times = -1};
static struct fault copy_from_device = {.name = "copy_from_device", .times = -1};
static struct fault host_allocation = {.name = "host_allocation", .times = -1};
static struct fault *const faults[] = {&copy_to_device, &copy_from_device, &host_allocation};

static pthread_mutex_t control_lock = PTHREAD_MUTEX_INITIALIZER;
static struct stat control_seen;

static void read_fault(struct fault *fault, const char *field, long value) {
  if (!strcmp(field, "delay_us")) fault->delay_us = value;
  if (!strcmp(field, "block")) fault->block = value;
  if (!strcmp(field, "error")) fault->error = value;
  if (!strcmp(field, "times")) fault->times = value;
}

/* Reads the file if it is another one than before. To be called with the lock. */
static void refresh(void) {
  const char *path = getenv("PEGAFLOW_STAND_IN_CONTROL");
  struct stat now;
  if (!path || stat(path, &now)) return;
  if (now.st_ino == control_seen.st_ino && now.st_mtim.tv_sec == control_seen.st_mtim.tv_sec &&
      now.st_mtim.tv_nsec == control_seen.st_mtim.tv_nsec)
    return;
  FILE *file = fopen(path, "re");
  if (!file) return;
  control_seen = now;
  for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
    struct fault *fault = faults[i];
    *fault = (struct fault){.name = fault->name, .times = -1};
  }
  char line[256], name[64], field[64];
  long value;
  while (fgets(line, sizeof line, file)) {
    if (sscanf(line, "%63[^. ].%63s %ld", name, field, &value) != 3) continue;
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++)
      if (!strcmp(name, faults[i]->name)) read_fault(faults[i], field, value);
  }
  fclose(file);
}

/* Waits as the file says, and returns the CUresult that it asks for. */
static int obey(struct fault *fault) {
  pthread_mutex_lock(&control_lock);
  refresh();
  int holds = fault->times < 0 || fault->taken < fault->times;
  fault->taken++;
  struct fault asked = *fault;
  pthread_mutex_unlock(&control_lock);
  if (!holds) return 0;
  if (asked.delay_us) usleep(asked.delay_us);
  if (asked.block) fprintf(stderr, "stand-in: %s waits\n", asked.name);
  for (int blocked = asked.block != 0; blocked;) {
    usleep(1000);
    pthread_mutex_lock(&control_lock);
    refresh();
    blocked = fault->block != 0;
    pthread_mutex_unlock(&control_lock);
  }
  return asked.error;
}
