// Polygons on the grid of a zoom: a field's shape, before and after it is cut into tiles.
#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

namespace fields {

// In units of a tile, counted from the northwest corner of the world or of a tile. Below 2^29.
struct GridPoint {
  int32_t x, y;
  bool operator==(const GridPoint& other) const { return x == other.x && y == other.y; }
  bool operator!=(const GridPoint& other) const { return !(*this == other); }
};

// Closed: `max` belongs to it.
struct GridBox {
  int32_t min_x, min_y, max_x, max_y;
};

// Parts of open rings: the exterior (positive area, y down: clockwise on the screen), then its holes.
struct Shape {
  std::vector<GridPoint> points;
  std::vector<uint32_t> ring_end;  // one past the ring's last point
  std::vector<uint32_t> part_end;  // one past the part's last ring

  uint32_t ring_begin(size_t ring) const { return ring == 0 ? 0 : ring_end[ring - 1]; }
  uint32_t part_begin(size_t part) const { return part == 0 ? 0 : part_end[part - 1]; }
  bool empty() const { return part_end.empty(); }
  void clear() {
    points.clear();
    ring_end.clear();
    part_end.clear();
  }
  void close_ring() { ring_end.push_back(static_cast<uint32_t>(points.size())); }
  void close_part() { part_end.push_back(static_cast<uint32_t>(ring_end.size())); }
  // A part that is a square of one unit.
  void add_square(GridPoint corner);
};

// Positive if c is to the right of the line from a to b on the screen.
inline int64_t turn(GridPoint a, GridPoint b, GridPoint c) {
  return static_cast<int64_t>(b.x - a.x) * (c.y - a.y) - static_cast<int64_t>(b.y - a.y) * (c.x - a.x);
}

// Twice the area, positive for exteriors. Exact: an area takes less than 60 bits.
int64_t area_of(const GridPoint* points, size_t n);

GridBox box_of(const GridPoint* points, size_t n);
inline GridBox box_of(const Shape& shape) { return box_of(shape.points.data(), shape.points.size()); }

// Ends the ring that begins at point `first`: removes repeated points, spikes and points on straight lines. False
// if fewer than three are left; the ring is then dropped.
bool finish_ring(Shape& shape, size_t first);

// Whether a ring contains a point; for a point on its edge, either answer.
bool contains(const GridPoint* ring, size_t n, GridPoint at);

// Tells whether shapes are valid polygons by the OGC's rules: edges meet at vertices of their ring alone; rings touch
// others at single points, so that the inside stays in one piece; holes lie inside their exterior and outside each
// other, and parts outside each other. Only rings that touch themselves, which the rules forbid, and rare ways of
// touching are refused beyond that. Rings are as finish_ring leaves them. Not for several threads at once.
class ShapeCheck {
 public:
  bool is_valid(const Shape& shape);

 private:
  struct Edge {
    int32_t min_x, max_x, min_y, max_y;
    GridPoint a, b;
    uint32_t index, next, ring;  // its first point, that of the edge that follows, and the ring
  };
  // A ring at a point where it touches another: where it comes from and goes to.
  struct Touch {
    GridPoint at;
    uint32_t ring;
    GridPoint before, after;
  };
  // Edges that follow each other, and the box around them: most are apart from most others.
  struct Group {
    int32_t min_x, max_x, min_y, max_y;
    uint32_t begin, end;
  };
  bool edges_apart(const Shape& shape);
  bool apart(const Shape& shape, const Edge& e, const Edge& f);
  // Whether two edges that have a point in common only touch there; notes it.
  bool touches(const Shape& shape, const Edge& e, const Edge& f, int64_t c, int64_t d, int64_t a, int64_t b);
  Touch touch_of(const Shape& shape, const Edge& e, GridPoint at) const;
  // Whether the inside of every part stays in one piece despite the touching points.
  bool in_one_piece(const Shape& shape);
  bool nests(const Shape& shape);

  std::vector<Edge> edges_;
  std::vector<Group> groups_;
  std::vector<Touch> touches_;
  std::vector<uint32_t> root_;
  std::vector<GridBox> boxes_;
};

}  // namespace fields
