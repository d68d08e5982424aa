// Arithmetic that turns the weighted sums of a model into its z-score and effect size.
#pragma once
#include "csr_gather.h"

struct ScoreScale {
    double z;
    double effect;
};

// 1 / sqrt(var_g) and 1 / var_g; NaN where the variance is zero, negative or unknown, for there is no score then.
GPUTWAS_HD ScoreScale score_scale(double var_g) {
    const bool usable = var_g > 0.0;  // false for NaN too
    const double unknown = nan("");
    return {usable ? 1.0 / sqrt(var_g) : unknown, usable ? 1.0 / var_g : unknown};
}
