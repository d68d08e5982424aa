/* What all C sources for the processor share: words for arrays, and one body compiled for several processors. */
#pragma once

/* Changes whenever the arguments of any function do, or a number that a Python module knows as well. */
#define LIBRARY_VERSION 1

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* The function exists once for each generation of x86-64, and the loader takes the best that the machine has. The
   rounding is the same in all: products and sums are never fused (-ffp-contract=off), no sum is reordered. */
#if defined(__x86_64__) && defined(__GLIBC__) && defined(__GNUC__) && !defined(__clang__)
#if __GNUC__ >= 12
#define FOR_EVERY_PROCESSOR __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define FOR_EVERY_PROCESSOR __attribute__((target_clones("avx2", "default")))
#endif
#else
#define FOR_EVERY_PROCESSOR
#endif

#define INLINE static inline __attribute__((always_inline))
