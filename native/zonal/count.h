// Majority class of every field from its pixel runs and a window of pixels.
#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

// For each type that a band's pixels can have.
#define FIELDS_PIXEL_TYPES(F) F(uint8_t) F(int8_t) F(uint16_t) F(int16_t) F(uint32_t) F(int32_t) F(float) F(double)

namespace fields {

// One chunk's part of the zone index, and the chunk's position in the window.
struct Segment {
  const uint32_t* field;  // rows of the field set
  const uint32_t* shape;  // runs << 16 | parts, as in Entry
  const uint32_t* run;    // row << 22 | column << 11 | length - 1
  uint32_t entries;
  uint32_t runs;
  int32_t row, col;  // chunk's corner in the window, pixels; negative if the window begins inside the chunk
};

// Answers of all fields by row; a class without pixels is meaningless. `T` is the band's type.
template <typename T>
struct Answers {
  T *code, *second;
  uint32_t *pixels, *valid, *second_pixels;
  uint32_t* covered;  // pixels of the raster under the field, of any class
  uint32_t rows;
};

// Histograms of fields that other chunks share, classes ascending; to be added up by field.
struct Partial {
  std::vector<uint32_t> field, parts, covered;
  std::vector<uint32_t> end;     // one past the field's last pair
  std::vector<double> code;      // pairs of class
  std::vector<uint32_t> pixels;  // and count
};

// The same in the caller's arrays.
struct PartialView {
  const uint32_t *field, *parts, *covered, *end;
  const double* code;
  const uint32_t* pixels;
  uint32_t entries;
};

// Counts one segment. `stride` is the window's width, `height` its rows. `mask` has one byte per pixel, 0 if the
// pixel is not counted, or is null. `skip` are classes that are not counted (NaN never is). Fields that are entirely
// in the chunk are answered; without `answers` they become partial histograms too. False if a run leaves the window, a
// field is beyond the answers' rows, or the segment's lengths disagree: the index belongs to another grid.
template <typename T>
bool count_segment(const T* pixels, const uint8_t* mask, uint32_t stride, uint32_t height, const Segment& segment,
                   const double* skip, size_t skips, bool clip, const Answers<T>* answers, Partial& partial);

// Adds up partial histograms and answers the fields with all parts, or all fields at the end.
// Histograms of the others go to `open` unchanged. False if a field is beyond the answers' rows.
template <typename T>
bool merge_partial(const std::vector<PartialView>& lists, const Answers<T>& answers, bool last, Partial& open);

}  // namespace fields
