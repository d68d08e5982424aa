// z-scores and effect sizes of a batch of traits: csr_gather, scaled by the variance of each model and turned
// into (traits, models), so that results alone leave the device.
//
//   z[t, m]      = (sum of csr_gather for m, t) / sqrt(var_g[m, pattern_of[t]])
//   effect[t, m] = (sum of csr_gather for m, t) / var_g[m, pattern_of[t]]
//
// A block of 8 x 32 threads scores 32 models in 32 traits at once; the 8 threads of a model read one 128-byte
// line of each row. Models of neighbouring genes and of other tissues use the same SNPs, so with models in genome
// order a block finds most lines in L1: about 120 rows x 256 bytes of z and beta. Blocks beside each other in x
// take the next traits of the same models, so that whole rows leave memory together; those beside each other in
// y find their rows in L2. Results wait in shared memory, one column wider than needed against bank conflicts,
// until the block writes them along the models, 32 at a time (128 bytes in float32). Put the result's columns
// back in order afterwards. Bytes, operations, registers: README.md.
#include "gather_four.cuh"
#include "score_gather.h"

constexpr int THREADS_X = 8;
constexpr int THREADS_Y = 32;
constexpr int TILE_TRAITS = THREADS_X * TRAITS_OF_A_THREAD;
constexpr int TILE_MODELS = THREADS_Y;
constexpr int ROWS_AT_ONCE = THREADS_X * THREADS_Y / TILE_MODELS;

template <typename Out>
struct Tile {
    Out z[TILE_TRAITS][TILE_MODELS + 1];
    Out effect[TILE_TRAITS][TILE_MODELS + 1];
};

template <typename Out, bool WITH_EFFECT>
__device__ __forceinline__ void score_into(
    Tile<Out>& tile,
    const long long first, const long long last, const int* __restrict__ variants,
    const double* __restrict__ z_weights, const double* __restrict__ effect_weights,
    const float* __restrict__ z, const float* __restrict__ beta, const long long stride,
    const double* __restrict__ var_g_of_model, const int* __restrict__ pattern_of,
    const long long trait, const long long traits) {
    GatherSums sums[TRAITS_OF_A_THREAD];
    gather_four<WITH_EFFECT>(sums, first, last, variants, z_weights, effect_weights, z, beta, stride, trait);
    int pattern = -1;
    ScoreScale scale = {0.0, 0.0};
#pragma unroll
    for (int i = 0; i < TRAITS_OF_A_THREAD; ++i) {  // unrolled, so that the sums stay in registers
        if (trait + i >= traits) break;
        if (pattern_of[trait + i] != pattern) {  // neighbours nearly always share one: divide once
            pattern = pattern_of[trait + i];
            scale = score_scale(var_g_of_model[pattern]);
        }
        const int row = threadIdx.x * TRAITS_OF_A_THREAD + i;
        tile.z[row][threadIdx.y] = (Out)(sums[i].z * scale.z);
        if (WITH_EFFECT) tile.effect[row][threadIdx.y] = (Out)(sums[i].effect * scale.effect);
    }
}

template <typename Out, bool WITH_EFFECT>
__device__ __forceinline__ void score_tiles(
    const long long* __restrict__ offsets, const int* __restrict__ variants,
    const double* __restrict__ z_weights, const double* __restrict__ effect_weights,
    const float* __restrict__ z, const float* __restrict__ beta,
    const double* __restrict__ var_g, const int* __restrict__ pattern_of,
    Out* __restrict__ z_out, Out* __restrict__ effect_out,
    const long long models, const long long traits, const long long stride, const long long patterns) {
    __shared__ Tile<Out> tile;
    const long long first_trait = (long long)blockIdx.x * TILE_TRAITS;
    const long long trait = first_trait + threadIdx.x * TRAITS_OF_A_THREAD;
    const int thread = threadIdx.y * THREADS_X + threadIdx.x;
    const int column = thread % TILE_MODELS;
    for (long long first_model = (long long)blockIdx.y * TILE_MODELS; first_model < models;
         first_model += (long long)gridDim.y * TILE_MODELS) {
        const long long model = first_model + threadIdx.y;
        if (model < models && trait < traits)
            score_into<Out, WITH_EFFECT>(
                tile, offsets[model], offsets[model + 1], variants, z_weights, effect_weights, z, beta, stride,
                var_g + model * patterns, pattern_of, trait, traits);
        __syncthreads();
        for (int row = thread / TILE_MODELS; row < TILE_TRAITS; row += ROWS_AT_ONCE)
            if (first_trait + row < traits && first_model + column < models) {
                const long long at = (first_trait + row) * models + first_model + column;
                z_out[at] = tile.z[row][column];
                if (WITH_EFFECT) effect_out[at] = tile.effect[row][column];
            }
        __syncthreads();
    }
}

// One kernel per precision and per answer to "are there effects": a branch inside one kernel would take the
// shared memory and the registers of both.
#define SCORE_GATHER(NAME, OUT, WITH_EFFECT)                                                                          \
    extern "C" __global__ void __launch_bounds__(THREADS_X* THREADS_Y) NAME(                             \
        const long long* __restrict__ offsets,     /* (models + 1) */                                    \
        const int* __restrict__ variants,          /* (nnz) rows of z and beta */                        \
        const double* __restrict__ z_weights,      /* (nnz) w * sigma */                                 \
        const double* __restrict__ effect_weights, /* (nnz) w * sigma^2 */                               \
        const float* __restrict__ z,               /* (variants, stride), 16-byte aligned */             \
        const float* __restrict__ beta,            /* (variants, stride), not read without effect */     \
        const double* __restrict__ var_g,          /* (models, patterns) */                              \
        const int* __restrict__ pattern_of,        /* (traits) */                                        \
        OUT* __restrict__ z_out,                   /* (traits, models) */                                \
        OUT* __restrict__ effect_out,              /* (traits, models), not written without effect */    \
        const long long models, const long long traits,                                                  \
        const long long stride, /* of z and beta: traits and padding, a multiple of 4 */                 \
        const long long patterns) {                                                                      \
        score_tiles<OUT, WITH_EFFECT>(                                                                   \
            offsets, variants, z_weights, effect_weights, z, beta, var_g, pattern_of, z_out, effect_out, \
            models, traits, stride, patterns);                                                           \
    }

SCORE_GATHER(score_gather_float32, float, true)
SCORE_GATHER(score_gather_float64, double, true)
SCORE_GATHER(score_gather_z_float32, float, false)
SCORE_GATHER(score_gather_z_float64, double, false)
