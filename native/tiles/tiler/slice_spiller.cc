#include "tiles/tiler/slice_spiller.h"

#include <algorithm>

#include "geometry/geojson.h"
#include "tiles/tiler/tile_id.h"

namespace fields {

Status SliceSpiller::add(const uint8_t* wkb, size_t size, uint32_t row, SpilledId id) {
  const Status status = read_wkb(wkb, size, polygons_);
  if (status != kOk) return status;
  if (!on_globe(polygons_)) return kNotFinite;
  projector_.project(polygons_, field_);
  field_.row = row;
  const WorldBox box = box_of(field_);
  box_ = {std::min(box_.min_x, box.min_x), std::min(box_.min_y, box.min_y), std::max(box_.max_x, box.max_x),
          std::max(box_.max_y, box.max_y)};
  const BucketRange range = buckets_of(box, zooms_);
  for (uint32_t x = range.min_x; x <= range.max_x; x++) {
    for (uint32_t y = range.min_y; y <= range.max_y; y++) {
      const uint64_t tile = tile_id({zooms_.bucket_zoom(), x, y});
      const auto [found, added] = places_.emplace(tile, buckets_.size());
      if (added) buckets_.emplace_back().tile = tile;
      Bucket& bucket = buckets_[found->second];
      spill_field(field_, id, bucket.last_row, bucket.records);
      if (bucket.count++ == 0) bucket.first_row = row;
      bucket.last_row = row;
    }
  }
  return kOk;
}

std::vector<SliceSpiller::Bucket>& SliceSpiller::finish() {
  std::sort(buckets_.begin(), buckets_.end(), [](const Bucket& a, const Bucket& b) { return a.tile < b.tile; });
  return buckets_;
}

}  // namespace fields
