/* What the kernels share: how a function is offered, and fixed-width numbers. Rules: docs/adr/0025.
 *
 * A kernel reads and writes plain arrays that its Python wrapper has checked, allocates nothing, calls nothing, and
 * gives back at most a number. Rows are int64_t, codes int32_t with -1 for a missing value. Numbers are little-endian.
 */
#ifndef TALLYSTICK_KERNELS_H
#define TALLYSTICK_KERNELS_H

#include <stddef.h>
#include <stdint.h>

#ifdef _WIN32
#define KERNEL __declspec(dllexport)
#else
#define KERNEL __attribute__((visibility("default")))
#endif

#if defined(__GNUC__)
/* Asks for a cache line that is read soon; has no other effect. */
#define SOON(address) __builtin_prefetch((address), 0, 3)
#define SOON_WRITTEN(address) __builtin_prefetch((address), 1, 3)
#else
#define SOON(address) ((void)0)
#define SOON_WRITTEN(address) ((void)0)
#endif

#endif
