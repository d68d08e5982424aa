// Arithmetic of the weighted sums, one SNP of one model in one trait at a time.
#pragma once
#include "host_device.h"

// Running sums of one model and one trait. A SNP without a z-score adds to neither; a SNP with z
// but without an effect size makes the effect of the model unknown, as NaN does by itself.
struct GatherSums {
    double z;
    double effect;
};

// The multiply-adds are fused by name, not by the compiler's leave, so that host and device give the same bits.
GPUTWAS_HD void gather_add(GatherSums& sums, double z_weight, double effect_weight, float z, float beta) {
    if (z == z) {  // false for NaN only
        sums.z = fma(z_weight, (double)z, sums.z);
        sums.effect = fma(effect_weight, (double)beta, sums.effect);
    }
}
