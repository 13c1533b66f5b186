/*
 * Lets ThreadSanitizer see Swift's Mutex. Its fast path is compiled into our code and seen; its slow path
 * (somebody waits) lies in libswiftSynchronization, which is not instrumented, so that everything a
 * contended Mutex protects would be reported as a race. Under the sanitizer alone, these two take the slow
 * path's place in the test program: they spin on the same word, with atomics that the sanitizer sees.
 *
 * The word is 0 when unlocked and the owner's thread id when locked; nobody sets the bit for waiters
 * here, so the fast unlock always does. Names and layout are those of Swift 6.3's LinuxImpl.swift.
 */
#include "CSanitizedMutex.h"

#if __has_feature(thread_sanitizer)
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>

#define SELF __attribute__((swift_context)) _Atomic(uint32_t) *word

__attribute__((swiftcall)) void lock_slow(uint32_t thread, SELF)
    __asm__("$s15Synchronization12_MutexHandleV9_lockSlowyys6UInt32VF");

__attribute__((swiftcall)) void unlock_slow(SELF)
    __asm__("$s15Synchronization12_MutexHandleV11_unlockSlowyyF");

__attribute__((swiftcall)) void lock_slow(uint32_t thread, SELF) {
    uint32_t unlocked = 0;
    while (!atomic_compare_exchange_weak_explicit(
        word, &unlocked, thread, memory_order_acquire, memory_order_relaxed)) {
        unlocked = 0;
        sched_yield();
    }
}

__attribute__((swiftcall)) void unlock_slow(SELF) {
    atomic_store_explicit(word, 0, memory_order_release);
}
#endif
