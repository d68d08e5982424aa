// Columns of a GWAS store turned into rows of traits, padded: what the gathers read.
//
//   out[v, t] = in[t, v] for t < traits, NaN from there to the stride
//
// A block of 32 x 8 threads turns tiles of 32 traits x 32 variants in shared memory, one column wider than needed
// against bank conflicts: both sides of the copy are whole lines of 128 bytes, four in flight per thread.
// Bytes, registers: README.md.
#include "variants_first.h"

constexpr int SIDE = 32;
constexpr int ROWS = 8;

extern "C" __global__ void __launch_bounds__(SIDE* ROWS) variants_first(
    const float* __restrict__ in,  // (traits, variants)
    float* __restrict__ out,       // (variants, stride)
    const long long traits, const long long variants,
    const long long stride) {  // a multiple of 32
    __shared__ float tile[SIDE][SIDE + 1];
    const long long first_variant = (long long)blockIdx.x * SIDE;
    for (long long first_trait = (long long)blockIdx.y * SIDE; first_trait < stride;
         first_trait += (long long)gridDim.y * SIDE) {
        const long long variant = first_variant + threadIdx.x;
#pragma unroll
        for (int row = threadIdx.y; row < SIDE; row += ROWS) {
            const long long trait = first_trait + row;
            const bool inside = trait < traits && variant < variants;
            tile[row][threadIdx.x] = inside ? in[trait * variants + variant] : padding_of_traits();
        }
        __syncthreads();
#pragma unroll
        for (int row = threadIdx.y; row < SIDE; row += ROWS)
            if (first_variant + row < variants)
                out[(first_variant + row) * stride + first_trait + threadIdx.x] = tile[threadIdx.x][row];
        __syncthreads();
    }
}
