// The vertices of a field that each zoom needs.
#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

#include "tiles/tiler/world.h"

namespace fields {

// Finds the vertices at which borders branch, among all fields of a bucket. Between them, two neighbors have the same
// vertices, in opposite directions, and are simplified in the same way: no gaps, no overlaps.
//
// A vertex is an anchor if its unordered pair of adjacent vertices differs between two rings that share it. Both ends
// of an edge that crosses a bucket's border are anchors too, so the result does not depend on other buckets.
//
// Vertices are processed in partitions, so that memory does not grow with the bucket: for each partition, every field
// is added, then queried, in the same order.
class AnchorFinder {
 public:
  // `bucket_zoom`: of the tiles that are buckets.
  AnchorFinder(int bucket_zoom, uint32_t partitions) : shift_(kWorldBits - bucket_zoom), partitions_(partitions) {}

  void begin(uint32_t partition, size_t expected_points);
  void add(const WorldField& field);
  // Sets the bits of the field's anchors in this partition; the field's first point has number `first`.
  void mark(const WorldField& field, size_t first, std::vector<uint64_t>& bits);

 private:
  struct Slot {
    uint64_t point = kEmpty;
    uint64_t neighbors = 0;
  };
  static constexpr uint64_t kEmpty = 0;  // the world's north-west corner, which is an anchor always
  static constexpr uint64_t kConflict = 0;
  void hash(const WorldPoint* points, uint32_t n);
  Slot& slot_of(uint64_t point, uint64_t hash);
  void grow();
  bool crosses(WorldPoint a, WorldPoint b) const;
  bool is_here(uint64_t hash) const { return partitions_ == 1 || (hash >> 32) % partitions_ == partition_; }

  int shift_;
  uint32_t partitions_, partition_ = 0;
  std::vector<Slot> slots_;
  std::vector<uint64_t> hashes_;  // of a ring's points
  size_t used_ = 0, mask_ = 0;
};

// The Douglas-Peucker algorithm, once for all zooms: a vertex belongs to a zoom, and to all higher ones, if removing
// it would move the border by more than one unit of the tile.
class Simplifier {
 public:
  // `least`, `most`: zooms. The answer has one zoom a point; most + 1 where none needs it.
  Simplifier(int least, int most);
  // `first`: number of the field's first point among the bits of anchors.
  void simplify(const WorldField& field, const std::vector<uint64_t>& anchors, size_t first,
                std::vector<uint8_t>& zooms);

 private:
  struct Span {
    uint32_t from, to;  // along the ring, from an anchor on; `to` may be one past its end
    double limit;
  };
  void arc(const WorldPoint* ring, uint32_t n, uint32_t from, uint32_t to, uint8_t* zooms);
  uint8_t zoom_of(double square) const;

  int least_, most_;
  std::vector<double> square_;  // of the tolerance, by zoom from `least`
  std::vector<uint32_t> ends_;
  std::vector<Span> stack_;
};

}  // namespace fields
