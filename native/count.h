// Majority class of every field from its pixel runs and a window of pixels.
#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

namespace fields {

// One chunk's share of the zone index, and where the chunk lies in the window.
struct Segment {
  const uint32_t* field;  // rows of the field set
  const uint32_t* shape;  // runs << 16 | parts, as Entry holds them
  const uint32_t* run;    // row << 22 | column << 11 | length - 1
  uint32_t entries;
  uint32_t runs;
  int32_t row, col;  // chunk's corner in the window, pixels; negative where the window begins inside the chunk
};

// Answers of fields that lie wholly in one chunk; parallel arrays.
struct Complete {
  std::vector<uint32_t> field, pixels, valid, second_pixels;
  std::vector<uint32_t> covered;     // pixels of the window under the field, whatever their class
  std::vector<double> code, second;  // class, NaN when there is none
};

// Histograms of fields that other chunks share in, classes ascending; to be added up by field.
struct Partial {
  std::vector<uint32_t> field, parts, covered;
  std::vector<uint32_t> end;     // one past the field's last pair
  std::vector<double> code;      // pairs of class
  std::vector<uint32_t> pixels;  // and count
};

// Counts one segment. `T` is the band's type; `stride` the window's width, `height` its rows. `skip` are
// classes that are not counted (NaN never is). `histograms`: fields that lie wholly in the chunk come as partial
// histograms too. False when a run leaves the window or the segment's own lengths
// disagree: the index is not of this grid.
template <typename T>
bool count_segment(const T* pixels, uint32_t stride, uint32_t height, const Segment& segment, const double* skip,
                   size_t skips, bool clip, bool histograms, Complete& complete, Partial& partial);

}  // namespace fields
