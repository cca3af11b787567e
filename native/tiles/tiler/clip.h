// Shapes cut at the sides of a box.
#pragma once
#include <cstdint>
#include <vector>

#include "tiles/tiler/shape.h"

namespace fields {

enum class Side { kWest, kEast, kNorth, kSouth };

// Cuts shapes along lines of the grid. A part that the line cuts into several becomes several: where its rings cross
// the line, the inside lies between the first and the second crossing, the third and the fourth ... Crossings are
// rounded to the grid, and both neighbors of a border have the same ones. The result is valid unless rounding,
// or an edge along the line, makes rings touch (ShapeCheck detects this). Not for several threads at once.
class ShapeClip {
 public:
  // The part of `in` on the inner side of the line through `limit`, including the line. False if nothing is cut
  // off; `out` is then unchanged.
  bool clip(const Shape& in, Side side, int32_t limit, Shape& out);

 private:
  // Points of a ring from where it comes in to where it goes out, both included.
  struct Chain {
    uint32_t begin, end;  // in points_
    uint32_t next;        // the chain that goes on from its end, along the line
    bool used;
  };
  // The crossing of an edge and the line.
  struct Crossing {
    int64_t numerator, width;  // the place along the line is their quotient
    int64_t drift;             // along the line, over `width`
    uint32_t chain;
    bool out;
  };
  template <typename Line>
  bool clip_at(const Shape& in, Line line, Shape& out);
  template <typename Line>
  void add_chains(const Shape& in, size_t ring, Line line);
  template <typename Line>
  void add_crossing(GridPoint in, GridPoint out, Line line, uint32_t chain, bool goes_out);
  bool link();
  void append_rings(const Shape& in, Shape& out);
  void find_owners(const Shape& in, const Shape& out, size_t first_part);

  std::vector<GridPoint> points_;
  std::vector<Chain> chains_;
  std::vector<Crossing> crossings_;
  std::vector<uint32_t> whole_;
  // By hole that was not cut, the part of the output around it.
  std::vector<size_t> owners_;
};

}  // namespace fields
