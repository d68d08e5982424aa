// Counting set bits, for device and host.
#pragma once
#include "host_device.h"

// Number of ones in 32 bits: one instruction on a GPU, sums of ever wider fields elsewhere (Warren, Hacker's
// Delight, 2nd edition, section 5-1).
GPUTWAS_HD int count_bits(unsigned word) {
#ifdef __CUDA_ARCH__
    return __popc(word);
#else
    word -= (word >> 1) & 0x55555555u;
    word = (word & 0x33333333u) + ((word >> 2) & 0x33333333u);
    word = (word + (word >> 4)) & 0x0f0f0f0fu;
    word += word >> 8;
    word += word >> 16;
    return (int)(word & 0x3fu);
#endif
}
