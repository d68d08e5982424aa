// Weighted sums of z-scores and effect sizes over the SNPs of each model, for a batch of traits,
// with missing values, in one pass over z and beta.
//
//   z_sums[m, t]      = sum over l in model m, z[l, t] known, of z_weights[l]      * z[l, t]
//   effect_sums[m, t] = sum over the same l                   of effect_weights[l] * beta[l, t]
//
// Layout: z and beta are (variants, traits), traits contiguous, so the 32 lanes of a warp read 128
// adjacent bytes of one SNP row; a warp owns one model and 32 traits, a block `WARPS` models.
// Bytes moved per model and trait: 8 n in (float32 z and beta), 16 out; the weights (20 n bytes a
// model) are read once per 32 traits and broadcast. Arithmetic: 4 n double operations, far below
// the balance point of a data-centre card, so the kernel is bound by memory. Registers: under 40,
// no shared memory; 8 warps a block let 2,048 threads reside on a multiprocessor.
#include "csr_gather.h"

constexpr int LANES = 32;

extern "C" __global__ void csr_gather(
    const long long* __restrict__ offsets,      // (models + 1)
    const int* __restrict__ variants,           // (nnz) rows of z and beta
    const double* __restrict__ z_weights,       // (nnz) w * sigma
    const double* __restrict__ effect_weights,  // (nnz) w * sigma^2
    const float* __restrict__ z,                // (variants, traits)
    const float* __restrict__ beta,             // (variants, traits)
    double* __restrict__ z_sums,                // (models, traits)
    double* __restrict__ effect_sums,           // (models, traits)
    const long long models,
    const long long traits) {
    const long long model = (long long)blockIdx.x * blockDim.y + threadIdx.y;
    if (model >= models) return;
    const long long first = offsets[model], last = offsets[model + 1];
    const long long stride = (long long)gridDim.y * LANES;
    for (long long trait = (long long)blockIdx.y * LANES + threadIdx.x; trait < traits; trait += stride) {
        GatherSums sums = {0.0, 0.0};
        for (long long l = first; l < last; ++l) {
            const long long at = (long long)variants[l] * traits + trait;
            gather_add(sums, z_weights[l], effect_weights[l], z[at], beta[at]);
        }
        z_sums[model * traits + trait] = sums.z;
        effect_sums[model * traits + trait] = sums.effect;
    }
}
