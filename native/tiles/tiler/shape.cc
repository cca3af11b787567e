#include "tiles/tiler/shape.h"

#include <algorithm>

namespace fields {

void Shape::add_square(GridPoint corner) {
  const auto [x, y] = corner;
  for (const GridPoint p : {GridPoint{x, y}, {x + 1, y}, {x + 1, y + 1}, {x, y + 1}}) points.push_back(p);
  close_ring();
  close_part();
}

int64_t area_of(const GridPoint* points, size_t n) {
  int64_t area = 0;
  for (size_t i = 1; i + 1 < n; i++) area += turn(points[0], points[i], points[i + 1]);
  return area;
}

GridBox box_of(const Shape& shape) {
  GridBox box{INT32_MAX, INT32_MAX, INT32_MIN, INT32_MIN};
  for (const GridPoint p : shape.points) {
    box.min_x = std::min(box.min_x, p.x);
    box.min_y = std::min(box.min_y, p.y);
    box.max_x = std::max(box.max_x, p.x);
    box.max_y = std::max(box.max_y, p.y);
  }
  return box;
}

int64_t finish_ring(Shape& shape, size_t first) {
  GridPoint* const p = shape.points.data() + first;
  const size_t n = shape.points.size() - first;
  size_t kept = 0;
  for (size_t i = 0; i < n; i++) {
    const GridPoint at = p[i];
    // Back, straight on or on the spot: the point before says nothing.
    while (kept >= 2 && turn(p[kept - 2], p[kept - 1], at) == 0) kept--;
    if (kept == 0 || p[kept - 1] != at) p[kept++] = at;
  }
  // The same over the ring's ends.
  size_t begin = 0;
  for (bool changed = true; changed && kept - begin >= 3;) {
    changed = true;
    if (p[kept - 1] == p[begin]) {
      kept--;
    } else if (turn(p[kept - 2], p[kept - 1], p[begin]) == 0) {
      kept--;
    } else if (turn(p[kept - 1], p[begin], p[begin + 1]) == 0) {
      begin++;
    } else {
      changed = false;
    }
  }
  const int64_t area = kept - begin < 3 ? 0 : area_of(p + begin, kept - begin);
  if (area == 0) {
    shape.points.resize(first);
    return 0;
  }
  if (begin > 0) std::copy(p + begin, p + kept, p);
  shape.points.resize(first + kept - begin);
  shape.close_ring();
  return area;
}

bool contains(const GridPoint* ring, size_t n, GridPoint at) {
  bool in = false;
  for (size_t i = 0, j = n - 1; i < n; j = i++) {
    const GridPoint a = ring[j], b = ring[i];
    if ((a.y > at.y) == (b.y > at.y)) continue;
    const int64_t side = turn(a, b, at);
    if ((b.y > a.y) == (side < 0)) in = !in;
  }
  return in;
}

bool ShapeCheck::is_simple(const Shape& shape) {
  edges_.clear();
  for (size_t ring = 0; ring < shape.ring_end.size(); ring++) {
    const uint32_t begin = shape.ring_begin(ring), end = shape.ring_end[ring];
    for (uint32_t i = begin; i < end; i++) {
      const uint32_t next = i + 1 == end ? begin : i + 1;
      const GridPoint a = shape.points[i], b = shape.points[next];
      edges_.push_back({std::min(a.x, b.x), std::max(a.x, b.x), std::min(a.y, b.y), std::max(a.y, b.y), a, b, next, i});
    }
  }
  if (!edges_apart()) return false;
  return shape.ring_end.size() < 2 || nests(shape);
}

bool ShapeCheck::edges_apart() {
  const size_t n = edges_.size();
  // A few edges are compared as they come, many from north to south.
  constexpr size_t kFew = 32;
  if (n > kFew) std::sort(edges_.begin(), edges_.end(), [](const Edge& a, const Edge& b) { return a.min_y < b.min_y; });
  for (size_t i = 0; i < n; i++) {
    const Edge& e = edges_[i];
    for (size_t j = i + 1; j < n; j++) {
      const Edge& f = edges_[j];
      if (n > kFew && f.min_y > e.max_y) break;
      if ((f.min_y > e.max_y) | (f.max_y < e.min_y) | (f.min_x > e.max_x) | (f.max_x < e.min_x)) continue;
      // Neighbours meet at a vertex and nowhere else, for they are not on one line.
      if (e.next == f.index || f.next == e.index) continue;
      const int64_t c = turn(e.a, e.b, f.a), d = turn(e.a, e.b, f.b);
      if ((c > 0 && d > 0) || (c < 0 && d < 0)) continue;
      const int64_t a = turn(f.a, f.b, e.a), b = turn(f.a, f.b, e.b);
      if ((a > 0 && b > 0) || (a < 0 && b < 0)) continue;
      return false;
    }
  }
  return true;
}

// Edges are apart, so one vertex of a ring tells where all of it lies.
bool ShapeCheck::nests(const Shape& shape) {
  const auto inside = [&](size_t ring, size_t of) {
    const uint32_t begin = shape.ring_begin(of);
    return contains(shape.points.data() + begin, shape.ring_end[of] - begin, shape.points[shape.ring_begin(ring)]);
  };
  const size_t parts = shape.part_end.size();
  for (size_t part = 0; part < parts; part++) {
    const size_t exterior = shape.part_begin(part), last = shape.part_end[part];
    for (size_t hole = exterior + 1; hole < last; hole++) {
      if (!inside(hole, exterior)) return false;
      for (size_t other = exterior + 1; other < last; other++) {
        if (other != hole && inside(hole, other)) return false;
      }
    }
    for (size_t other = 0; other < parts; other++) {
      if (other == part || !inside(exterior, shape.part_begin(other))) continue;
      // In a hole of the other part it may lie.
      bool in_hole = false;
      for (size_t hole = shape.part_begin(other) + 1; hole < shape.part_end[other] && !in_hole; hole++) {
        in_hole = inside(exterior, hole);
      }
      if (!in_hole) return false;
    }
  }
  return true;
}

}  // namespace fields
