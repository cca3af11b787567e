// Weight of every class of a field, if pixels are weighted: by covered fraction, by area, or both.
#pragma once
#include "zonal/count.h"

namespace fields {

// Histograms of all entries, classes ascending; to be added up by field.
struct WeightedPartial {
  std::vector<uint32_t> field, parts, end;
  std::vector<double> covered;       // weight of all pixels under the field
  std::vector<double> code, weight;  // pairs
};

// As count_segment. A pixel weighs what its row does, times its covered share (kWeighted in burn.h), rounded to a
// whole number: so any order of adding gives the same sum, up to 2^53.
template <typename T>
bool count_weighted(const T* pixels, const uint8_t* mask, uint32_t stride, uint32_t height, const Segment& segment,
                    const double* skip, size_t skips, bool clip, const double* row_weights, WeightedPartial& partial);

}  // namespace fields
