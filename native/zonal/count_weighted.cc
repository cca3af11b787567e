#include "zonal/count_weighted.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <unordered_map>

#include "zonal/burn.h"

namespace fields {

template <typename T>
bool count_weighted(const T* pixels, const uint8_t* mask, uint32_t stride, uint32_t height, const Segment& segment,
                    const double* skip, size_t skips, bool clip, const double* row_weights, WeightedPartial& partial) {
  std::unordered_map<T, double> histogram;
  std::vector<std::pair<double, double>> sorted;
  const uint32_t* word = segment.run;
  const uint32_t* const words_end = segment.run + segment.runs;
  for (uint32_t entry = 0; entry < segment.entries; entry++) {
    const uint32_t words = segment.shape[entry] >> 16;
    if (words > static_cast<size_t>(words_end - word)) return false;
    double covered = 0;
    for (const uint32_t* const stop = word + words; word < stop;) {
      const uint32_t run = *word++;
      const uint32_t length = (run & 2047) + 1;
      const uint32_t* shares = nullptr;
      if ((run & kWeighted) != 0) {
        if (length > static_cast<size_t>(stop - word)) return false;
        shares = word;
        word += length;
      }
      const int64_t row = int64_t{segment.row} + ((run & ~kWeighted) >> 22);
      const int64_t first = int64_t{segment.col} + ((run >> 11) & 2047);
      int64_t col = first, end = first + length;
      if (row < 0 || row >= height || col < 0 || end > stride) {
        if (!clip) return false;
        col = std::max<int64_t>(col, 0);
        end = std::min<int64_t>(end, stride);
        if (row < 0 || row >= height || col >= end) continue;
      }
      for (; col < end; col++) {
        float share = 1;
        if (shares != nullptr) std::memcpy(&share, shares + (col - first), 4);
        const double weight = std::floor(static_cast<double>(share) * row_weights[row] + 0.5);
        if (!(weight > 0)) continue;
        covered += weight;
        if (mask != nullptr && mask[row * stride + col] == 0) continue;
        const T code = pixels[row * stride + col];
        if (code == code) histogram[code == 0 ? T{0} : code] += weight;  // NaN is no class, -0.0 is 0
      }
    }
    sorted.clear();
    for (const auto& [code, weight] : histogram) {
      const auto c = static_cast<double>(code);
      if (std::find(skip, skip + skips, c) == skip + skips) sorted.push_back({c, weight});
    }
    histogram.clear();
    std::sort(sorted.begin(), sorted.end());
    for (const auto& [code, weight] : sorted) {
      partial.code.push_back(code);
      partial.weight.push_back(weight);
    }
    partial.field.push_back(segment.field[entry]);
    partial.parts.push_back(segment.shape[entry] & 0xffff);
    partial.covered.push_back(covered);
    partial.end.push_back(static_cast<uint32_t>(partial.code.size()));
  }
  return word == words_end;
}

#define FIELDS_COUNT(T)                                                                                                \
  template bool count_weighted<T>(const T*, const uint8_t*, uint32_t, uint32_t, const Segment&, const double*, size_t, \
                                  bool, const double*, WeightedPartial&);
FIELDS_PIXEL_TYPES(FIELDS_COUNT)
#undef FIELDS_COUNT

}  // namespace fields
