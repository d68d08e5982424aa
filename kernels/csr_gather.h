// Per-element arithmetic of the CSR gather, for device and host alike, so that it is also
// tested where there is no GPU.
#pragma once

#ifdef __CUDACC__
#define GPUTWAS_HD __host__ __device__ __forceinline__
#else
#define GPUTWAS_HD inline
#endif

// Running sums of one model and one trait. A SNP without a z-score adds to neither; a SNP with z
// but without an effect size makes the effect of the model unknown, as NaN does by itself.
struct GatherSums {
    double z;
    double effect;
};

GPUTWAS_HD void gather_add(GatherSums& sums, double z_weight, double effect_weight, float z, float beta) {
    if (z == z) {  // false for NaN only
        sums.z += z_weight * (double)z;
        sums.effect += effect_weight * (double)beta;
    }
}
