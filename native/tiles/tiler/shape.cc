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

GridBox box_of(const GridPoint* points, size_t n) {
  GridBox box{INT32_MAX, INT32_MAX, INT32_MIN, INT32_MIN};
  for (size_t i = 0; i < n; i++) {
    box.min_x = std::min(box.min_x, points[i].x);
    box.min_y = std::min(box.min_y, points[i].y);
    box.max_x = std::max(box.max_x, points[i].x);
    box.max_y = std::max(box.max_y, points[i].y);
  }
  return box;
}

bool finish_ring(Shape& shape, size_t first) {
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
  if (kept - begin < 3) {
    shape.points.resize(first);
    return false;
  }
  if (begin > 0) std::copy(p + begin, p + kept, p);
  shape.points.resize(first + kept - begin);
  shape.close_ring();
  return true;
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

bool ShapeCheck::is_valid(const Shape& shape) {
  // A ring that was simplified, snapped or cut may have turned over: readers would take a hole for an exterior.
  for (size_t part = 0; part < shape.part_end.size(); part++) {
    const uint32_t exterior = shape.part_begin(part);
    for (uint32_t ring = exterior; ring < shape.part_end[part]; ring++) {
      const uint32_t begin = shape.ring_begin(ring);
      const int64_t area = area_of(shape.points.data() + begin, shape.ring_end[ring] - begin);
      if (ring == exterior ? area <= 0 : area >= 0) return false;
    }
  }
  edges_.clear();
  touches_.clear();
  for (uint32_t ring = 0; ring < shape.ring_end.size(); ring++) {
    const uint32_t begin = shape.ring_begin(ring), end = shape.ring_end[ring];
    for (uint32_t i = begin; i < end; i++) {
      const uint32_t next = i + 1 == end ? begin : i + 1;
      const GridPoint a = shape.points[i], b = shape.points[next];
      edges_.push_back(
          {std::min(a.x, b.x), std::max(a.x, b.x), std::min(a.y, b.y), std::max(a.y, b.y), a, b, i, next, ring});
    }
  }
  if (!edges_apart(shape)) return false;
  if (shape.ring_end.size() < 2) return true;
  return (touches_.empty() || in_one_piece(shape)) && nests(shape);
}

bool ShapeCheck::edges_apart(const Shape& shape) {
  constexpr uint32_t kGroup = 8;
  const auto n = static_cast<uint32_t>(edges_.size());
  groups_.clear();
  for (uint32_t begin = 0; begin < n; begin += kGroup) {
    const uint32_t end = std::min(n, begin + kGroup);
    Group group{INT32_MAX, INT32_MIN, INT32_MAX, INT32_MIN, begin, end};
    for (uint32_t i = begin; i < end; i++) {
      group.min_x = std::min(group.min_x, edges_[i].min_x);
      group.max_x = std::max(group.max_x, edges_[i].max_x);
      group.min_y = std::min(group.min_y, edges_[i].min_y);
      group.max_y = std::max(group.max_y, edges_[i].max_y);
    }
    groups_.push_back(group);
  }
  for (size_t g = 0; g < groups_.size(); g++) {
    const Group& group = groups_[g];
    for (uint32_t i = group.begin; i < group.end; i++) {
      for (uint32_t j = i + 1; j < group.end; j++) {
        if (!apart(shape, edges_[i], edges_[j])) return false;
      }
    }
    for (size_t h = g + 1; h < groups_.size(); h++) {
      const Group& other = groups_[h];
      if ((other.min_y > group.max_y) | (other.max_y < group.min_y) | (other.min_x > group.max_x) |
          (other.max_x < group.min_x)) {
        continue;
      }
      for (uint32_t i = group.begin; i < group.end; i++) {
        const Edge& e = edges_[i];
        if ((other.min_y > e.max_y) | (other.max_y < e.min_y) | (other.min_x > e.max_x) | (other.max_x < e.min_x)) {
          continue;
        }
        for (uint32_t j = other.begin; j < other.end; j++) {
          if (!apart(shape, e, edges_[j])) return false;
        }
      }
    }
  }
  return true;
}

// Notes where edges of two rings touch.
inline bool ShapeCheck::apart(const Shape& shape, const Edge& e, const Edge& f) {
  if ((f.min_y > e.max_y) | (f.max_y < e.min_y) | (f.min_x > e.max_x) | (f.max_x < e.min_x)) return true;
  // Neighbors meet at a vertex and nowhere else, for they are not on one line.
  if (e.next == f.index || f.next == e.index) return true;
  const int64_t c = turn(e.a, e.b, f.a), d = turn(e.a, e.b, f.b);
  if ((c > 0 && d > 0) || (c < 0 && d < 0)) return true;
  const int64_t a = turn(f.a, f.b, e.a), b = turn(f.a, f.b, e.b);
  if ((a > 0 && b > 0) || (a < 0 && b < 0)) return true;
  return e.ring != f.ring && touches(shape, e, f, c, d, a, b);
}

bool ShapeCheck::touches(const Shape& shape, const Edge& e, const Edge& f, int64_t c, int64_t d, int64_t a, int64_t b) {
  GridPoint at;
  if (c == 0 && d == 0) {
    // On one line: they may meet end to end.
    const bool ends = e.a == f.a || e.a == f.b || e.b == f.a || e.b == f.b;
    const int64_t both_x = std::min(e.max_x, f.max_x) - std::max(e.min_x, f.min_x),
                  both_y = std::min(e.max_y, f.max_y) - std::max(e.min_y, f.min_y);
    if (!ends || both_x > 0 || both_y > 0) return false;
    at = e.a == f.a || e.a == f.b ? e.a : e.b;
  } else if (c == 0 || d == 0) {
    at = c == 0 ? f.a : f.b;
  } else if (a == 0 || b == 0) {
    at = a == 0 ? e.a : e.b;
  } else {
    return false;
  }
  const Touch p = touch_of(shape, e, at), q = touch_of(shape, f, at);
  // Neither ring crosses the other there: both directions of one lie between those of the other.
  const auto between = [&](GridPoint to) {
    const bool left = turn(p.before, at, p.after) < 0;
    const bool after_before = turn(p.before, at, to) > 0, before_after = turn(at, p.after, to) > 0;
    return left ? after_before || before_after : after_before && before_after;
  };
  if (between(q.before) != between(q.after)) return false;
  touches_.push_back(p);
  touches_.push_back(q);
  return true;
}

ShapeCheck::Touch ShapeCheck::touch_of(const Shape& shape, const Edge& e, GridPoint at) const {
  const uint32_t begin = shape.ring_begin(e.ring), end = shape.ring_end[e.ring];
  GridPoint before = e.a, after = e.b;
  if (at == e.a) before = shape.points[(e.index == begin ? end : e.index) - 1];
  if (at == e.b) after = shape.points[e.next + 1 == end ? begin : e.next + 1];
  return {at, e.ring, before, after};
}

// Rings and the points where they touch, as a graph: a cycle would close off a piece of the inside.
bool ShapeCheck::in_one_piece(const Shape& shape) {
  const auto part_of = [&](uint32_t ring) {
    return static_cast<uint32_t>(std::upper_bound(shape.part_end.begin(), shape.part_end.end(), ring) -
                                 shape.part_end.begin());
  };
  const auto order = [&](const Touch& a, const Touch& b) {
    const uint32_t p = part_of(a.ring), q = part_of(b.ring);
    if (p != q) return p < q;
    if (a.at != b.at) return a.at.x != b.at.x ? a.at.x < b.at.x : a.at.y < b.at.y;
    return a.ring < b.ring;
  };
  std::sort(touches_.begin(), touches_.end(), order);
  root_.resize(shape.ring_end.size());
  for (uint32_t i = 0; i < root_.size(); i++) root_[i] = i;
  const auto find = [this](uint32_t i) {
    while (root_[i] != i) i = root_[i] = root_[root_[i]];
    return i;
  };
  for (size_t first = 0; first < touches_.size();) {
    // All rings of a part that meet at a point hang together by it.
    size_t i = first + 1;
    for (; i < touches_.size() && touches_[i].at == touches_[first].at &&
           part_of(touches_[i].ring) == part_of(touches_[first].ring);
         i++) {
      if (touches_[i].ring == touches_[i - 1].ring) continue;
      const uint32_t p = find(touches_[first].ring), q = find(touches_[i].ring);
      if (p == q) return false;
      root_[q] = p;
    }
    first = i;
  }
  return true;
}

// Edges are apart, so a vertex that touches nothing tells where its whole ring lies.
bool ShapeCheck::nests(const Shape& shape) {
  boxes_.clear();
  for (size_t ring = 0; ring < shape.ring_end.size(); ring++) {
    const uint32_t begin = shape.ring_begin(ring);
    boxes_.push_back(box_of(shape.points.data() + begin, shape.ring_end[ring] - begin));
  }
  constexpr uint32_t kNone = UINT32_MAX;
  const auto free_vertex = [&](size_t ring) {
    for (uint32_t i = shape.ring_begin(ring); i < shape.ring_end[ring]; i++) {
      const auto same = [&, at = shape.points[i]](const Touch& touch) { return touch.at == at; };
      if (std::none_of(touches_.begin(), touches_.end(), same)) return i;
    }
    return kNone;
  };
  const auto inside = [&](GridPoint at, size_t of) {
    const GridBox& box = boxes_[of];
    if (at.x < box.min_x || at.x > box.max_x || at.y < box.min_y || at.y > box.max_y) return false;
    const uint32_t begin = shape.ring_begin(of);
    return contains(shape.points.data() + begin, shape.ring_end[of] - begin, at);
  };
  const size_t parts = shape.part_end.size();
  for (size_t part = 0; part < parts; part++) {
    const size_t exterior = shape.part_begin(part), last = shape.part_end[part];
    for (size_t hole = exterior + 1; hole < last; hole++) {
      const uint32_t vertex = free_vertex(hole);
      if (vertex == kNone || !inside(shape.points[vertex], exterior)) return false;
      for (size_t other = exterior + 1; other < last; other++) {
        if (other != hole && inside(shape.points[vertex], other)) return false;
      }
    }
    if (parts == 1) break;
    const uint32_t vertex = free_vertex(exterior);
    if (vertex == kNone) return false;
    for (size_t other = 0; other < parts; other++) {
      if (other == part || !inside(shape.points[vertex], shape.part_begin(other))) continue;
      // In a hole of the other part it may lie.
      bool in_hole = false;
      for (size_t hole = shape.part_begin(other) + 1; hole < shape.part_end[other] && !in_hole; hole++) {
        in_hole = inside(shape.points[vertex], hole);
      }
      if (!in_hole) return false;
    }
  }
  return true;
}

}  // namespace fields
