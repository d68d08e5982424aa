// Sums of one model in four adjacent traits, kept in the registers of one thread: the inner loop of csr_gather
// and score_gather.
//
// A thread reads 16 bytes of z and of beta per SNP, so that 8 threads cover a 128-byte line. Terms are added in the stored order of the SNPs, each trait by itself: its sums are the
// same bits whatever stands beside it in the batch. The loop is unrolled by four, which lets the loads of four
// SNPs fly at once while the additions keep their order.
#pragma once
#include "csr_gather.h"

constexpr int TRAITS_OF_A_THREAD = 4;

template <bool WITH_EFFECT>
__device__ __forceinline__ void gather_four(
    GatherSums (&sums)[TRAITS_OF_A_THREAD],
    const long long first,                      // of the model's entries
    const long long last,
    const int* __restrict__ variants,           // (nnz)
    const double* __restrict__ z_weights,       // (nnz)
    const double* __restrict__ effect_weights,  // (nnz)
    const float* __restrict__ z,                // (variants, stride)
    const float* __restrict__ beta,             // (variants, stride), read WITH_EFFECT only
    const long long stride,
    const long long trait) {
    for (int i = 0; i < TRAITS_OF_A_THREAD; ++i) sums[i] = {0.0, 0.0};
#pragma unroll 4
    for (long long l = first; l < last; ++l) {
        const long long at = (long long)variants[l] * stride + trait;
        const float4 zs = *reinterpret_cast<const float4*>(z + at);
        const double z_weight = z_weights[l];
        float4 betas = {0.0f, 0.0f, 0.0f, 0.0f};
        double effect_weight = 0.0;
        if (WITH_EFFECT) {
            betas = *reinterpret_cast<const float4*>(beta + at);
            effect_weight = effect_weights[l];
        }
        gather_add(sums[0], z_weight, effect_weight, zs.x, betas.x);
        gather_add(sums[1], z_weight, effect_weight, zs.y, betas.y);
        gather_add(sums[2], z_weight, effect_weight, zs.z, betas.z);
        gather_add(sums[3], z_weight, effect_weight, zs.w, betas.w);
    }
}
