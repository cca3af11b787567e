// Fields as bytes, between the tiler's two passes.
#pragma once
#include <cstddef>
#include <cstdint>

#include "tiles/gzip.h"
#include "tiles/tiler/world.h"

namespace fields {

// A chunk holds records of fields by ascending row:
//
//   varint row (the first; then the difference to the one before)
//   varint bytes of the id, then the id: a vector tile's message `Value`, or nothing
//   varint x, y of the label
//   varint parts; of each, varint rings; of each, varint points
//   points: zigzag varint x, y as differences from the point before, the first from the label
//
// 5 to 6 bytes per vertex; WKB has 16.
struct SpilledId {
  const uint8_t* bytes;
  size_t size;
};

// Appends a record. `row_before`: of the record before in the chunk, 0 at first.
void spill_field(const WorldField& field, SpilledId id, uint32_t row_before, Buffer& out);

// Reads the records of a chunk. Throws TileError if they are not in the format of `spill_field`.
class SpillReader {
 public:
  SpillReader(const uint8_t* from, size_t size) : at_(from), end_(from + size) {}
  // False after the last record. The id is valid as long as the chunk.
  bool next(WorldField& field, SpilledId& id);

 private:
  const uint8_t* at_;
  const uint8_t* end_;
  uint32_t row_ = 0;
};

}  // namespace fields
