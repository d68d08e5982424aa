// What lets one header serve device code and plain C++ alike, so that the arithmetic of every kernel also
// runs where there is no GPU. NVRTC brings its own mathematics; everything else needs math.h.
#pragma once

#ifndef __CUDACC_RTC__
#include <math.h>
#endif

#ifdef __CUDACC__
#define GPUTWAS_HD __host__ __device__ __forceinline__
#else
#define GPUTWAS_HD inline
#endif
