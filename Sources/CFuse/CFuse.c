#include "CFuse.h"
#include <pthread.h>
#include <stdio.h>
#include <string.h>

_Static_assert(sizeof(struct fuse_in_header) == 40, "a request begins with 40 bytes");
_Static_assert(sizeof(struct fuse_write_in) == 40, "the payload of WRITE starts at byte 80");
_Static_assert(sizeof(struct fuse_out_header) == 16, "an answer begins with 16 bytes");
_Static_assert(sizeof(struct fuse_init_out) == 64, "INIT is answered with 64 bytes");
_Static_assert(sizeof(struct cfuse_open_out) == sizeof(struct fuse_open_out), "OPEN's answer");
_Static_assert(sizeof(struct cfuse_backing_map) == 16, "the backing ioctl's argument");

_Thread_local void *cfuse_thread_state_ = NULL;

// Protects `last`.
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char last[512];

static void keep(enum fuse_log_level level, const char *format, va_list arguments) {
    (void)level;
    pthread_mutex_lock(&lock);
    vsnprintf(last, sizeof last, format, arguments);
    last[strcspn(last, "\n")] = 0;
    pthread_mutex_unlock(&lock);
}

void cfuse_capture_messages(void) { fuse_set_log_func(keep); }

size_t cfuse_last_message(char *buffer, size_t capacity) {
    pthread_mutex_lock(&lock);
    size_t length = strnlen(last, sizeof last);
    if (length > capacity) length = capacity;
    memcpy(buffer, last, length);
    pthread_mutex_unlock(&lock);
    return length;
}
