// Variance of predicted expression over the SNPs that a GWAS has, for every model and pattern of missing SNPs.
//
//   var_g[m, p] = sum over entries (i, j) of the triangle of m, both SNPs present in p, of
//                 (i == j ? 1 : 2) * ld[i, j] * weights[i] * weights[j]
//   n_used[m, p] = SNPs of m (those with LD) that p has;  in_gwas[m, p] = whether p has any SNP of m, LD or not
//
// A warp owns one model in one pattern; neighbouring warps hold the patterns of one model, so its triangle comes
// from L1 for all but the first. The lanes take the entries of the triangle in turn, lane, lane + 32, ..., and
// add them in that order; five exchanges between lanes, always the same, end the sum: the same bits in every
// run, and for a model with all its SNPs in every pattern. Which SNPs are present is asked once per SNP and kept
// as bits in shared memory. Bytes, operations, registers: README.md.
#include "masked_var_g.h"

constexpr int LANES = 32;
constexpr int WARPS = 8;
constexpr int MOST_SNPS = 2048;  // whose bits fit into shared memory; longer models ask the mask each time
constexpr unsigned ALL_LANES = 0xffffffffu;

__device__ __forceinline__ bool bit_of(const unsigned* __restrict__ words, long long at) {
    return (words[at >> 5] >> (at & 31)) & 1u;
}

// Whether the mask has any of these SNPs; the whole warp asks and gets one answer.
__device__ __forceinline__ bool any_present(
    const int* __restrict__ variants, long long first, long long last, const unsigned* __restrict__ mask) {
    for (long long start = first; start < last; start += LANES) {
        const long long at = start + threadIdx.x;
        if (__ballot_sync(ALL_LANES, at < last && bit_of(mask, variants[at]))) return true;
    }
    return false;
}

extern "C" __global__ void __launch_bounds__(LANES* WARPS) masked_var_g(
    const long long* __restrict__ offsets,      // (models + 1)
    const int* __restrict__ variants,           // (nnz) bits of the mask
    const double* __restrict__ weights,         // (nnz)
    const long long* __restrict__ ld_offsets,   // (models + 1)
    const double* __restrict__ ld,              // packed upper triangles, row by row
    const long long* __restrict__ all_offsets,  // (models + 1), of the SNPs with LD or without
    const int* __restrict__ all_variants,
    const unsigned* __restrict__ mask,          // (patterns, words), bit v & 31 of word v >> 5 is variant v
    double* __restrict__ var_g,                 // (models, patterns)
    int* __restrict__ n_used,                   // (models, patterns)
    unsigned char* __restrict__ in_gwas,        // (models, patterns)
    const long long models, const long long patterns, const long long words, const double rounding) {
    __shared__ unsigned present[WARPS][MOST_SNPS / LANES];
    const long long task = (long long)blockIdx.x * WARPS + threadIdx.y;
    if (task >= models * patterns) return;  // a whole warp, and warps never wait for each other
    const long long model = task / patterns;
    const int lane = threadIdx.x;
    const unsigned* __restrict__ of_pattern = mask + (task % patterns) * words;
    unsigned* const bits = present[threadIdx.y];
    const long long first = offsets[model], n = offsets[model + 1] - first;

    int used = 0;
    for (long long start = 0; start < n; start += LANES) {
        const long long l = start + lane;
        const unsigned word = __ballot_sync(ALL_LANES, l < n && bit_of(of_pattern, variants[first + l]));
        used += __popc(word);
        if (lane == 0 && l < MOST_SNPS) bits[l / LANES] = word;
    }
    __syncwarp();

    VarianceSums sums = {0.0, 0.0};
    if (used) {
        const bool kept = n <= MOST_SNPS;
        const long long size = n * (n + 1) / 2;
        const double* __restrict__ triangle = ld + ld_offsets[model];
        const double* __restrict__ w = weights + first;
        TriangleEntry entry = {0, 0};
        triangle_advance(entry, lane, n);
        for (long long k = lane; k < size; k += LANES) {
            const long long i = entry.i, j = entry.j;
            const bool both = kept ? bit_of(bits, i) && bit_of(bits, j)
                                   : bit_of(of_pattern, variants[first + i]) &&
                                         bit_of(of_pattern, variants[first + j]);
            if (both) variance_add(sums, triangle[k], w[i], w[j], i == j);
            triangle_advance(entry, LANES, n);
        }
        for (int step = LANES / 2; step; step /= 2) {
            sums.total += __shfl_xor_sync(ALL_LANES, sums.total, step);
            sums.absolute += __shfl_xor_sync(ALL_LANES, sums.absolute, step);
        }
    }
    const bool any = used || any_present(all_variants, all_offsets[model], all_offsets[model + 1], of_pattern);
    if (lane == 0) {
        var_g[task] = variance_of(sums, used, rounding);
        n_used[task] = used;
        in_gwas[task] = any;
    }
}
