#include "tiles/tiler/field_shapes.h"

#include <algorithm>

namespace fields {
namespace {

int shift_of(int zoom) { return kWorldBits - kExtentBits - zoom; }

}  // namespace

// False where an exterior is lost or turned over.
bool FieldShapes::snap(const WorldField& field, const std::vector<uint8_t>* zooms, int zoom, Shape& out) {
  out.clear();
  const int shift = shift_of(zoom);
  const uint64_t half = uint64_t{1} << shift >> 1;
  bool whole = !field.part_end.empty();
  for (size_t part = 0; part < field.part_end.size(); part++) {
    const uint32_t exterior = field.part_begin(static_cast<uint32_t>(part));
    bool drawn = false;
    for (uint32_t ring = exterior; ring < field.part_end[part]; ring++) {
      const size_t first = out.points.size();
      const uint32_t begin = field.ring_begin(ring), end = field.ring_end[ring];
      for (uint32_t i = begin; i < end; i++) {
        if (zooms != nullptr && (*zooms)[i] > zoom) continue;
        const WorldPoint p = field.points[i];
        const GridPoint at{static_cast<int32_t>((p.x + half) >> shift), static_cast<int32_t>((p.y + half) >> shift)};
        if (out.points.size() == first || out.points.back() != at) out.points.push_back(at);
      }
      // A hole that stays where its exterior is lost lies outside of it: by the even-odd rule it is filled.
      const bool kept = finish_ring(out, first);
      drawn = drawn || kept;
      if (ring != exterior) continue;
      if (!kept || area_of(out.points.data() + first, out.points.size() - first) <= 0) whole = false;
    }
    if (drawn) out.close_part();
  }
  return whole;
}

const Shape& FieldShapes::draw(const WorldField& field, const std::vector<uint8_t>& zooms, int zoom) {
  counts.shapes++;
  if (snap(field, &zooms, zoom, shape_) && check_.is_valid(shape_)) return shape_;
  counts.whole++;
  if (snap(field, nullptr, zoom, shape_) && check_.is_valid(shape_)) return shape_;
  counts.repaired++;
  if (!repair_.repair(shape_, mended_)) counts.unsolved++;
  if (!mended_.empty()) return mended_;
  counts.squares++;
  mended_.clear();
  const int shift = shift_of(zoom);
  mended_.add_square({static_cast<int32_t>(field.label.x >> shift), static_cast<int32_t>(field.label.y >> shift)});
  return mended_;
}

bool FieldShapes::mend(Shape& piece) {
  if (piece.empty()) return false;
  counts.pieces++;
  if (check_.is_valid(piece)) return true;
  counts.rejoined++;
  Shape mended;
  if (!repair_.repair(piece, mended)) counts.unsolved++;
  std::swap(piece, mended);
  return !piece.empty();
}

}  // namespace fields
