// Valid polygons from any rings.
#pragma once
#include <cstdint>
#include <vector>

#include "tiles/tiler/shape.h"

namespace fields {

// From rings that cross, touch or overlap, makes polygons that are valid by the OGC rules and cover the same area,
// within the rounding to whole units. A point is inside if it is inside an odd number of rings of any part.
//
// All edges are cut where they meet, at points rounded to the grid, until none cross; edges with the inside on both
// sides are removed; the rest is traced, so that rings touch at single points at most. Not for several threads at once.
class ShapeRepair {
 public:
  // `out` is empty if nothing has an area. False if no answer was found within kMostRounds; `out` is empty
  // then.
  bool repair(const Shape& in, Shape& out);

 private:
  enum class Rule { kOdd, kPositive };
  struct Edge {
    GridPoint a, b;
  };
  // An edge and how often it occurs: in this direction less the other, and at all.
  struct Border {
    GridPoint a, b;  // a before b
    int32_t net, count;
  };
  struct Cut {
    uint32_t edge;
    GridPoint at;
  };
  bool arrange(Rule rule, Shape& out);
  bool node();
  void find_cuts(const Edge& e, uint32_t i, const Edge& f, uint32_t j);
  void apply_cuts();
  void collect_borders();
  void keep_boundaries(Rule rule);
  void trace(Shape& out);

  std::vector<Edge> edges_, fresh_;
  std::vector<uint32_t> order_;
  std::vector<Cut> cuts_;
  std::vector<Border> borders_;
  Shape parts_;
};

}  // namespace fields
