// The addon is built for any x86-64; marked loops are compiled once more for AVX2 and AVX-512 and chosen at load time.
#pragma once

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define AFA_VECTORISED __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define AFA_VECTORISED
#endif

// What marked loops call must become part of them, or it is compiled for the oldest machine.
#if defined(__GNUC__)
#define AFA_INLINE __attribute__((always_inline)) inline
#else
#define AFA_INLINE inline
#endif
