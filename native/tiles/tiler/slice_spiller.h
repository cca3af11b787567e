// The tiler's first pass over a slice of the fields.
#pragma once
#include <cstdint>
#include <unordered_map>
#include <vector>

#include "geometry/wkb.h"
#include "tiles/tiler/bucket.h"
#include "tiles/tiler/mercator.h"
#include "tiles/tiler/spill.h"

namespace fields {

// Sorts fields into buckets. Not for several threads at once.
class SliceSpiller {
 public:
  struct Bucket {
    uint64_t tile = 0;  // id of the bucket's tile
    Buffer records;
    uint32_t first_row = 0, last_row = 0, count = 0;
  };

  explicit SliceSpiller(TilerZooms zooms) : zooms_(zooms) {}

  // Reads a polygon and appends its record to the bucket of every tile that it intersects. Rows ascend.
  Status add(const uint8_t* wkb, size_t size, uint32_t row, SpilledId id);

  // Buckets by ascending tile; no field may be added afterwards.
  std::vector<Bucket>& finish();
  // Box of all fields so far; empty (min above max) if there are none.
  const WorldBox& box() const { return box_; }

 private:
  TilerZooms zooms_;
  Polygons polygons_;
  WorldProjector projector_;
  WorldField field_;
  std::vector<Bucket> buckets_;
  std::unordered_map<uint64_t, size_t> places_;
  WorldBox box_{UINT32_MAX, UINT32_MAX, 0, 0};
};

}  // namespace fields
