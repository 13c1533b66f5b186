// What a request thread of the daemon does beside its system calls, by interposition (LD_PRELOAD): allocations,
// reference counts, locks, futex calls. They are counted for each thread that receives requests, from one read(2) of
// /dev/fuse to the next, by what the request was, into the file that HOT_PATH_COUNTS names.
//
// A Swift Mutex that nobody else holds calls nothing. But it asks the system for the thread's number, once, and
// keeps that thread-local. The number is made forgotten before each request, so the first Mutex asks again.
//
// On x86-64 Swift calls its runtime as C calls functions; elsewhere a plain function would spoil registers.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <link.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#ifndef __x86_64__
#error "only for x86-64"
#endif

enum kind { REQUESTS, ALLOCATIONS, RETAINS, LOCKS, FUTEXES, KINDS };
enum class { READS, WRITES, OTHERS, CLASSES };
enum { MOST_THREADS = 1024 };

struct counts { uint64_t of[CLASSES][KINDS]; };
struct shared {
    uint64_t threads;
    struct counts thread[MOST_THREADS];
};

static struct shared *shared;
// Initial-exec: a library that is loaded with the program needs no call to reach its thread-locals.
#define OWN static __thread __attribute__((tls_model("initial-exec")))
OWN uint64_t now[KINDS];
OWN struct counts *mine;
OWN enum class current;

#define COUNT(kind) (now[kind]++)

// ---- the device --------------------------------------------------------------------------------

__attribute__((constructor)) static void open_counts(void) {
    const char *path = getenv("HOT_PATH_COUNTS");
    int file = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (file < 0) return;
    void *memory = mmap(0, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (memory != MAP_FAILED) shared = memory;
    close(file);
}

static int is_device(int file, size_t size) {
    struct stat status;
    return shared && size > 1 << 20 && fstat(file, &status) == 0 && S_ISCHR(status.st_mode) &&
        status.st_rdev == makedev(10, 229);
}

// Thread-local memory of the program itself and of the library that has Mutex.
static int forget(struct dl_phdr_info *info, size_t size, void *number) {
    (void)size;
    int is_program = !info->dlpi_name[0];
    if (!info->dlpi_tls_data || !(is_program || strstr(info->dlpi_name, "libswiftSynchronization")))
        return 0;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        if (info->dlpi_phdr[i].p_type != PT_TLS) continue;
        uint32_t *word = info->dlpi_tls_data;
        for (size_t left = info->dlpi_phdr[i].p_memsz / 4; left > 0; left--, word++)
            if (*word == *(uint32_t *)number) *word = 0;
    }
    return 0;
}

// Gives what was counted since the last request to that one.
static void finish_request(void) {
    if (!mine) {
        uint64_t place = __atomic_fetch_add(&shared->threads, 1, __ATOMIC_RELAXED);
        if (place >= MOST_THREADS) abort();
        mine = &shared->thread[place];
        current = OTHERS;
    }
    for (int kind = 0; kind < KINDS; kind++)
        __atomic_fetch_add(&mine->of[current][kind], now[kind], __ATOMIC_RELAXED);
}

// Offsets of struct fuse_in_header. Numbers of `.mirror` begin with bit 62.
static void begin_request(const char *request) {
    uint32_t opcode, number = syscall(SYS_gettid);
    uint64_t node;
    memcpy(&opcode, request + 4, sizeof opcode);
    memcpy(&node, request + 16, sizeof node);
    current = node >> 62 ? OTHERS : opcode == 15 ? READS : opcode == 16 ? WRITES : OTHERS;
    dl_iterate_phdr(forget, &number);
    memset(now, 0, sizeof now);
    now[REQUESTS] = 1;
}

ssize_t read(int file, void *buffer, size_t size) {
    if (!is_device(file, size)) return syscall(SYS_read, file, buffer, size);
    finish_request();
    memset(now, 0, sizeof now);
    ssize_t count = syscall(SYS_read, file, buffer, size);
    if (count > 0) begin_request(buffer);
    return count;
}

// ---- what is counted ---------------------------------------------------------------------------

#define REAL(name) \
    static __typeof__(&name) real; \
    if (!real) real = dlsym(RTLD_NEXT, #name)

// The allocator's own names: dlsym allocates.
void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t);
void *__libc_memalign(size_t, size_t);
void *malloc(size_t size) { return COUNT(ALLOCATIONS), __libc_malloc(size); }
void *calloc(size_t n, size_t size) { return COUNT(ALLOCATIONS), __libc_calloc(n, size); }
void *realloc(void *old, size_t size) { return COUNT(ALLOCATIONS), __libc_realloc(old, size); }
void *memalign(size_t unit, size_t size) { return COUNT(ALLOCATIONS), __libc_memalign(unit, size); }
void *aligned_alloc(size_t unit, size_t size) { return memalign(unit, size); }
int posix_memalign(void **result, size_t unit, size_t size) {
    *result = memalign(unit, size);
    return *result ? 0 : 12;
}

#define RETAIN(name) \
    void *name(void *object) { REAL(name); return COUNT(RETAINS), real(object); }
#define RETAIN_N(name) \
    void *name(void *object, uint32_t n) { REAL(name); return COUNT(RETAINS), real(object, n); }
RETAIN(swift_retain)
RETAIN(swift_bridgeObjectRetain)
RETAIN(swift_release)
RETAIN(swift_bridgeObjectRelease)
RETAIN_N(swift_retain_n)
RETAIN_N(swift_bridgeObjectRetain_n)
RETAIN_N(swift_release_n)
RETAIN_N(swift_bridgeObjectRelease_n)

#define LOCK(name, type) \
    int name(type *lock) { REAL(name); return COUNT(LOCKS), real(lock); }
LOCK(pthread_mutex_lock, pthread_mutex_t)
LOCK(pthread_mutex_trylock, pthread_mutex_t)
LOCK(pthread_rwlock_rdlock, pthread_rwlock_t)
LOCK(pthread_rwlock_wrlock, pthread_rwlock_t)
LOCK(pthread_spin_lock, pthread_spinlock_t volatile)

long syscall(long number, ...) {
    va_list list;
    va_start(list, number);
    long a[6];
    for (int i = 0; i < 6; i++) a[i] = va_arg(list, long);
    va_end(list);
    if (number == SYS_gettid) COUNT(LOCKS);
    if (number == SYS_futex) COUNT(FUTEXES);
    REAL(syscall);
    return real(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}
