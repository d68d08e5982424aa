// Ranks with ties averaged, from sorted order, sequence by sequence; NaN keeps no rank.
//
//   ranks[c, order[c, k]] = mean of the positions (from 1) of all values equal to the k-th smallest of c
//
// A thread owns one position k of one sequence. Whether the value has an equal neighbour is seen in a tile in
// shared memory; most have none and are ranked at once. The others find the ends of their run by bisection in
// the sorted sequence, so a run may be as long as it likes and cross blocks: no carries, no second pass, no order
// in which blocks must run. The values are reached through `order`: a sequence of 10,000 float32 stays in L1.
// Bytes, operations, registers: README.md.
#include "tie_averaged_ranks.h"

constexpr int THREADS = 256;

template <typename T>
struct SortedSequence {
    const T* values;
    const long long* order;
    __device__ __forceinline__ T operator()(long long k) const { return values[order[k]]; }
};

template <typename T>
__device__ __forceinline__ void rank_tiles(
    const T* __restrict__ values, const long long* __restrict__ order, T* __restrict__ ranks,
    const long long sequences, const long long size) {
    __shared__ T tile[THREADS + 2];
    const long long k = (long long)blockIdx.x * THREADS + threadIdx.x;
    for (long long sequence = blockIdx.y; sequence < sequences; sequence += gridDim.y) {
        const SortedSequence<T> sorted = {values + sequence * size, order + sequence * size};
        if (k < size) {
            tile[threadIdx.x + 1] = sorted(k);
            if (threadIdx.x == 0 && k > 0) tile[0] = sorted(k - 1);
            if (threadIdx.x == THREADS - 1 && k + 1 < size) tile[THREADS + 1] = sorted(k + 1);
        }
        __syncthreads();
        if (k < size) {
            const T value = tile[threadIdx.x + 1];
            const bool before = k > 0 && tile[threadIdx.x] == value;
            const bool after = k + 1 < size && tile[threadIdx.x + 2] == value;
            const long long first = before ? first_equal(sorted, k) : k;
            const long long last = after ? last_equal(sorted, k, size) : k;
            ranks[sequence * size + sorted.order[k]] = value == value ? (T)average_rank(first, last) : value;
        }
        __syncthreads();
    }
}

extern "C" __global__ void __launch_bounds__(THREADS) tie_averaged_ranks_float32(
    const float* __restrict__ values,     // (sequences, size)
    const long long* __restrict__ order,  // (sequences, size) argsort of each sequence, NaN last
    float* __restrict__ ranks,            // (sequences, size), exact up to 2^23 values
    const long long sequences, const long long size) {
    rank_tiles(values, order, ranks, sequences, size);
}

extern "C" __global__ void __launch_bounds__(THREADS) tie_averaged_ranks_float64(
    const double* __restrict__ values, const long long* __restrict__ order, double* __restrict__ ranks,
    const long long sequences, const long long size) {
    rank_tiles(values, order, ranks, sequences, size);
}
