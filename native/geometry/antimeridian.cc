#include "geometry/antimeridian.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace fields {
namespace {

constexpr double kLine = 180;
constexpr double kTurn = 360;

struct Point {
  double x, y;
};
// Open: the first vertex is not repeated.
using Ring = std::vector<Point>;
// The first ring is the exterior.
using Part = std::vector<Ring>;

// Twice the signed area, from the first vertex.
double area_of(const Ring& ring) {
  double area = 0;
  for (size_t i = 0; i < ring.size(); i++) {
    const Point &o = ring[0], &a = ring[i], &b = ring[i + 1 == ring.size() ? 0 : i + 1];
    area += (a.x - o.x) * (b.y - o.y) - (b.x - o.x) * (a.y - o.y);
  }
  return area;
}

bool contains(const Ring& ring, Point at) {
  bool in = false;
  for (size_t i = 0, j = ring.size() - 1; i < ring.size(); j = i++) {
    const Point &a = ring[i], &b = ring[j];
    if ((a.y > at.y) == (b.y > at.y)) continue;
    if (at.x < (b.x - a.x) * (at.y - a.y) / (b.y - a.y) + a.x) in = !in;
  }
  return in;
}

void move(Ring& ring, double by) {
  for (Point& p : ring) p.x += by;
}

std::pair<double, double> range_of(const Ring& ring) {
  double low = ring[0].x, high = ring[0].x;
  for (const Point& p : ring) {
    low = std::min(low, p.x);
    high = std::max(high, p.x);
  }
  return {low, high};
}

// A ring without jumps: every edge the shorter way round. False when it winds around a pole.
bool unwrap(const Polygons& p, uint32_t begin, uint32_t end, Ring& ring) {
  double shift = 0;
  ring.clear();
  for (uint32_t i = begin; i < end; i++) {
    if (i > begin) {
      double step = p.x[i] - p.x[i - 1];
      for (; step > kLine; step -= kTurn) shift -= kTurn;
      for (; step < -kLine; step += kTurn) shift += kTurn;
    }
    ring.push_back({p.x[i] + shift, p.y[i]});
  }
  ring.pop_back();
  return shift == 0;
}

// A crossing, between a vertex on each side of the line, and the chains that end there, left and right.
struct Crossing {
  double y;
  size_t chain[2];
};

// Vertices on one side of the line, from one crossing to another.
struct Chain {
  bool right;
  size_t from, to;
  Ring points;
};

// Cut a part at the 180th meridian.
class Cut {
 public:
  explicit Cut(const Part& part) {
    for (const Ring& ring : part) add(ring);
    order_.resize(crossings_.size());
    std::iota(order_.begin(), order_.end(), size_t{0});
    std::stable_sort(order_.begin(), order_.end(),
                     [this](size_t a, size_t b) { return crossings_[a].y < crossings_[b].y; });
    place_.resize(order_.size());
    for (size_t i = 0; i < order_.size(); i++) place_[order_[i]] = i;
    used_.resize(chains_.size());
  }

  std::vector<Part> side(bool right) {
    std::vector<Part> parts;
    for (size_t i = 0; i < chains_.size(); i++) {
      if (chains_[i].right != right || used_[i]) continue;
      Ring ring = follow(i);
      if (ring.size() >= 3 && area_of(ring) != 0) parts.push_back({std::move(ring)});
    }
    for (const auto& [whole_right, ring] : whole_) {
      if (whole_right != right) continue;
      if (parts.empty()) {
        parts.push_back({ring});
        continue;
      }
      size_t holder = 0;
      for (size_t i = 0; i < parts.size(); i++) {
        if (contains(parts[i][0], ring[0])) holder = i;
      }
      parts[holder].push_back(ring);
    }
    return parts;
  }

 private:
  static bool is_right(Point p) { return p.x > kLine; }

  void add(const Ring& ring) {
    const size_t n = ring.size();
    size_t start = n;
    for (size_t i = 0; i < n && start == n; i++) {
      if (is_right(ring[i]) != is_right(ring[(i + n - 1) % n])) start = i;
    }
    if (start == n) {
      whole_.push_back({is_right(ring[0]), ring});
      return;
    }
    const size_t first = crossings_.size();
    for (size_t k = 0; k < n; k++) {
      const Point p = ring[(start + k) % n], before = ring[(start + k + n - 1) % n];
      if (is_right(p) != is_right(before)) {
        const double y = before.y + (p.y - before.y) * ((kLine - before.x) / (p.x - before.x));
        const size_t crossing = crossings_.size();
        crossings_.push_back({y, {}});
        if (k > 0) close(crossing);
        chains_.push_back({is_right(p), crossing, 0, {}});
        crossings_[crossing].chain[is_right(p)] = chains_.size() - 1;
      }
      chains_.back().points.push_back(p);
    }
    close(first);
  }

  void close(size_t crossing) {
    chains_.back().to = crossing;
    crossings_[crossing].chain[chains_.back().right] = chains_.size() - 1;
  }

  // Along the line, the interior is between the first and second crossing, the third and fourth, and so on.
  Ring follow(size_t chain) {
    Ring ring;
    const bool right = chains_[chain].right;
    const size_t start = chains_[chain].from;
    size_t from = start;
    for (;;) {
      used_[chain] = true;
      const Chain& c = chains_[chain];
      const bool forward = c.from == from;
      const size_t to = forward ? c.to : c.from;
      push(ring, {kLine, crossings_[from].y});
      for (size_t i = 0; i < c.points.size(); i++) push(ring, c.points[forward ? i : c.points.size() - 1 - i]);
      push(ring, {kLine, crossings_[to].y});
      from = order_[place_[to] ^ 1];
      chain = crossings_[from].chain[right];
      if (from == start) break;
    }
    while (ring.size() > 1 && ring[0].x == ring.back().x && ring[0].y == ring.back().y) ring.pop_back();
    return ring;
  }

  static void push(Ring& ring, Point p) {
    if (ring.empty() || ring.back().x != p.x || ring.back().y != p.y) ring.push_back(p);
  }

  std::vector<Crossing> crossings_;
  std::vector<Chain> chains_;
  std::vector<std::pair<bool, Ring>> whole_;
  std::vector<size_t> order_, place_;
  std::vector<bool> used_;
};

void append(const Part& part, Polygons& out) {
  for (const Ring& ring : part) {
    for (const Point& p : ring) {
      out.x.push_back(p.x);
      out.y.push_back(p.y);
    }
    out.x.push_back(ring[0].x);
    out.y.push_back(ring[0].y);
    out.ring_end.push_back(static_cast<uint32_t>(out.x.size()));
  }
  out.part_end.push_back(static_cast<uint32_t>(out.ring_end.size()));
}

// Parts of `part` between the meridians of -180 and 180 degrees.
void append_within(Part part, Polygons& out) {
  const auto [low, high] = range_of(part[0]);
  double by = 0;
  while (low + by < -kLine) by += kTurn;
  while (low + by >= kLine) by -= kTurn;
  for (Ring& ring : part) move(ring, by);
  if (high + by <= kLine) {
    append(part, out);
    return;
  }
  Cut cut(part);
  for (const Part& left : cut.side(false)) append(left, out);
  for (Part& right : cut.side(true)) append_within(std::move(right), out);
}

// Rings [first, last) of `p` without jumps, holes next to their exterior; false if that is impossible.
bool unwrap_part(const Polygons& p, uint32_t first, uint32_t last, Part& part) {
  part.clear();
  for (uint32_t r = first; r < last; r++) {
    Ring ring;
    if (!unwrap(p, r == 0 ? 0 : p.ring_end[r - 1], p.ring_end[r], ring)) return false;
    if (r == first) {
      if (area_of(ring) == 0) return false;
    } else {
      const auto [low, high] = range_of(part[0]);
      double by = 0;
      while (ring[0].x + by > high) by -= kTurn;
      while (ring[0].x + by < low) by += kTurn;
      move(ring, by);
    }
    part.push_back(std::move(ring));
  }
  return true;
}

}  // namespace

bool leaves_map(const Polygons& p) {
  const auto [low, high] = std::minmax_element(p.x.begin(), p.x.end());
  return *low < -kLine || *high > kLine || *high - *low > kLine;
}

void cut_at_antimeridian(const Polygons& p, Polygons& out) {
  out.clear();
  Part part;
  uint32_t first = 0;
  for (const uint32_t last : p.part_end) {
    if (unwrap_part(p, first, last, part)) {
      append_within(std::move(part), out);
    } else {
      for (uint32_t r = first; r < last; r++) {
        const uint32_t begin = r == 0 ? 0 : p.ring_end[r - 1], end = p.ring_end[r];
        out.x.insert(out.x.end(), p.x.begin() + begin, p.x.begin() + end);
        out.y.insert(out.y.end(), p.y.begin() + begin, p.y.begin() + end);
        out.ring_end.push_back(static_cast<uint32_t>(out.x.size()));
      }
      out.part_end.push_back(static_cast<uint32_t>(out.ring_end.size()));
    }
    first = last;
  }
}

}  // namespace fields
