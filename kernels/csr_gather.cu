// Weighted sums of z-scores and effect sizes over the SNPs of each model, for a batch of traits,
// with missing values, in one pass over z and beta.
//
//   z_sums[m, t]      = sum over l in model m, z[l, t] known, of z_weights[l]      * z[l, t]
//   effect_sums[m, t] = sum over the same l                   of effect_weights[l] * beta[l, t]
//
// A thread owns one model and four traits (gather_four.cuh). A block has 32 models and, with 8 threads each, 32
// traits; see score_gather.cu for why, and for the order of the blocks. No shared memory, no communication
// between threads. Bytes, operations, registers: README.md.
#include "gather_four.cuh"

template <bool WITH_EFFECT>
__device__ __forceinline__ void sums_of_model(
    const long long* __restrict__ offsets, const int* __restrict__ variants,
    const double* __restrict__ z_weights, const double* __restrict__ effect_weights,
    const float* __restrict__ z, const float* __restrict__ beta,
    double* __restrict__ z_sums, double* __restrict__ effect_sums,
    const long long model, const long long trait, const long long stride) {
    GatherSums sums[TRAITS_OF_A_THREAD];
    gather_four<WITH_EFFECT>(
        sums, offsets[model], offsets[model + 1], variants, z_weights, effect_weights, z, beta, stride, trait);
    double2* z_out = reinterpret_cast<double2*>(z_sums + model * stride + trait);
    z_out[0] = {sums[0].z, sums[1].z};
    z_out[1] = {sums[2].z, sums[3].z};
    if (WITH_EFFECT) {
        double2* effect_out = reinterpret_cast<double2*>(effect_sums + model * stride + trait);
        effect_out[0] = {sums[0].effect, sums[1].effect};
        effect_out[1] = {sums[2].effect, sums[3].effect};
    }
}

extern "C" __global__ void __launch_bounds__(256) csr_gather(
    const long long* __restrict__ offsets,      // (models + 1)
    const int* __restrict__ variants,           // (nnz) rows of z and beta
    const double* __restrict__ z_weights,       // (nnz) w * sigma
    const double* __restrict__ effect_weights,  // (nnz) w * sigma^2
    const float* __restrict__ z,                // (variants, stride), 16-byte aligned
    const float* __restrict__ beta,             // (variants, stride), not read without effect
    double* __restrict__ z_sums,                // (models, stride)
    double* __restrict__ effect_sums,           // (models, stride), not written without effect
    const long long models,
    const long long stride,  // traits and padding, a multiple of 4
    const int with_effect) {
    const long long trait = ((long long)blockIdx.x * blockDim.x + threadIdx.x) * TRAITS_OF_A_THREAD;
    if (trait >= stride) return;
    for (long long model = (long long)blockIdx.y * blockDim.y + threadIdx.y; model < models;
         model += (long long)gridDim.y * blockDim.y) {
        if (with_effect)
            sums_of_model<true>(
                offsets, variants, z_weights, effect_weights, z, beta, z_sums, effect_sums, model, trait, stride);
        else
            sums_of_model<false>(
                offsets, variants, z_weights, effect_weights, z, beta, z_sums, effect_sums, model, trait, stride);
    }
}
