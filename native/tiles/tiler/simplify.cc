#include "tiles/tiler/simplify.h"

#include <algorithm>

namespace fields {
namespace {

uint64_t key_of(WorldPoint p) { return static_cast<uint64_t>(p.x) << 32 | p.y; }

uint64_t mixed(uint64_t value) {
  value ^= value >> 32;
  value *= 0xd6e8feb86659fd93u;
  value ^= value >> 32;
  return value;
}

bool before(WorldPoint a, WorldPoint b) { return a.x != b.x ? a.x < b.x : a.y < b.y; }

// Square of the distance from p to the segment from a to b.
double square_of(WorldPoint a, WorldPoint b, WorldPoint p) {
  const double dx = static_cast<double>(b.x) - static_cast<double>(a.x),
               dy = static_cast<double>(b.y) - static_cast<double>(a.y);
  const double px = static_cast<double>(p.x) - static_cast<double>(a.x),
               py = static_cast<double>(p.y) - static_cast<double>(a.y);
  const double along = px * dx + py * dy, length = dx * dx + dy * dy;
  if (along <= 0) return px * px + py * py;
  if (along >= length) return (px - dx) * (px - dx) + (py - dy) * (py - dy);
  const double across = px * dy - py * dx;
  return across * across / length;
}

}  // namespace

void AnchorFinder::begin(uint32_t partition, size_t expected_points) {
  size_t size = 1024;
  while (size < expected_points * 2) size *= 2;
  slots_.assign(size, Slot{});
  mask_ = size - 1;
  used_ = 0;
  partition_ = partition;
}

AnchorFinder::Slot& AnchorFinder::slot_of(uint64_t point, uint64_t hash) {
  size_t at = hash & mask_;
  while (slots_[at].point != point && slots_[at].point != kEmpty) at = (at + 1) & mask_;
  return slots_[at];
}

void AnchorFinder::grow() {
  std::vector<Slot> old(slots_.size() * 2);
  old.swap(slots_);
  mask_ = slots_.size() - 1;
  for (const Slot& slot : old) {
    if (slot.point != kEmpty) slot_of(slot.point, mixed(slot.point)) = slot;
  }
}

bool AnchorFinder::crosses(WorldPoint a, WorldPoint b) const {
  return shift_ < kWorldBits && (((a.x ^ b.x) | (a.y ^ b.y)) >> shift_) != 0;
}

// All of a ring, so that the memory for them comes while the first are worked on.
void AnchorFinder::hash(const WorldPoint* points, uint32_t n) {
  hashes_.resize(n);
  for (uint32_t i = 0; i < n; i++) {
    hashes_[i] = mixed(key_of(points[i]));
    __builtin_prefetch(&slots_[hashes_[i] & mask_]);
  }
}

void AnchorFinder::add(const WorldField& field) {
  for (size_t ring = 0; ring < field.ring_end.size(); ring++) {
    const uint32_t begin = field.ring_begin(static_cast<uint32_t>(ring)), n = field.ring_end[ring] - begin;
    const WorldPoint* const p = field.points.data() + begin;
    hash(p, n);
    for (uint32_t i = 0; i < n; i++) {
      const uint64_t previous = hashes_[i == 0 ? n - 1 : i - 1], here = hashes_[i],
                     next = hashes_[i + 1 == n ? 0 : i + 1];
      const uint64_t key = key_of(p[i]);
      if (key != kEmpty && is_here(here)) {
        // The same for both directions.
        const uint64_t pair = (previous + next) | 1;
        Slot& slot = slot_of(key, here);
        if (slot.point == kEmpty) {
          slot = {key, pair};
          if (++used_ * 4 > slots_.size() * 3) grow();
        } else if (slot.neighbors != pair) {
          slot.neighbors = kConflict;
        }
      }
    }
  }
}

void AnchorFinder::mark(const WorldField& field, size_t first, std::vector<uint64_t>& bits) {
  for (size_t ring = 0; ring < field.ring_end.size(); ring++) {
    const uint32_t begin = field.ring_begin(static_cast<uint32_t>(ring)), n = field.ring_end[ring] - begin;
    const WorldPoint* const p = field.points.data() + begin;
    hash(p, n);
    bool crossed = crosses(p[n - 1], p[0]);
    for (uint32_t i = 0; i < n; i++) {
      const bool crossing = crosses(p[i], p[i + 1 == n ? 0 : i + 1]);
      const uint64_t key = key_of(p[i]), hash = mixed(key);
      const bool anchor =
          crossed || crossing || key == kEmpty || (is_here(hash) && slot_of(key, hash).neighbors == kConflict);
      const size_t bit = first + begin + i;
      if (anchor) bits[bit >> 6] |= uint64_t{1} << (bit & 63);
      crossed = crossing;
    }
  }
}

Simplifier::Simplifier(int least, int most) : least_(least), most_(most) {
  for (int z = least; z <= most; z++) {
    const double unit = static_cast<double>(uint64_t{1} << (kWorldBits - kExtentBits - z));
    square_.push_back(unit * unit);
  }
}

uint8_t Simplifier::zoom_of(double square) const {
  int z = most_ + 1;
  while (z > least_ && square > square_[static_cast<size_t>(z - 1 - least_)]) z--;
  return static_cast<uint8_t>(z);
}

void Simplifier::simplify(const WorldField& field, const std::vector<uint64_t>& anchors, size_t first,
                          std::vector<uint8_t>& zooms) {
  zooms.assign(field.points.size(), static_cast<uint8_t>(most_ + 1));
  for (size_t r = 0; r < field.ring_end.size(); r++) {
    const uint32_t begin = field.ring_begin(static_cast<uint32_t>(r)), n = field.ring_end[r] - begin;
    const WorldPoint* const ring = field.points.data() + begin;
    ends_.clear();
    for (uint32_t i = 0; i < n; i++) {
      const size_t bit = first + begin + i;
      if ((anchors[bit >> 6] >> (bit & 63) & 1) != 0) ends_.push_back(i);
    }
    // A ring needs two ends; they are chosen by place alone, so that the hole around an island has the same ones.
    if (ends_.empty()) {
      uint32_t least = 0;
      for (uint32_t i = 1; i < n; i++) {
        if (before(ring[i], ring[least])) least = i;
      }
      ends_.push_back(least);
    }
    if (ends_.size() == 1) {
      const uint32_t end = ends_[0];
      uint32_t farthest = end;
      double most = -1;
      for (uint32_t i = 0; i < n; i++) {
        const double square = square_of(ring[end], ring[end], ring[i]);
        if (square > most || (square == most && before(ring[i], ring[farthest]))) {
          most = square;
          farthest = i;
        }
      }
      // A ring has area, so some vertex is away from the first.
      ends_.push_back(farthest);
      if (ends_[1] < ends_[0]) std::swap(ends_[0], ends_[1]);
    }
    for (const uint32_t end : ends_) zooms[begin + end] = 0;
    for (size_t k = 0; k < ends_.size(); k++) {
      const uint32_t from = ends_[k], to = k + 1 < ends_.size() ? ends_[k + 1] : ends_[0] + n;
      if (to - from > 1) arc(ring, n, from, to, zooms.data() + begin);
    }
  }
}

void Simplifier::arc(const WorldPoint* ring, uint32_t n, uint32_t from, uint32_t to, uint8_t* zooms) {
  const auto at = [&](uint32_t i) { return i < n ? i : i - n; };
  const WorldPoint a = ring[at(from)], b = ring[at(to)];
  // If several vertices are equally far, the first one counts, in the direction that both neighbors agree on.
  bool forward = before(a, b);
  if (a == b) forward = !before(ring[at(to - 1)], ring[at(from + 1)]);
  stack_.clear();
  stack_.push_back({from, to, 1e300});
  while (!stack_.empty()) {
    const Span span = stack_.back();
    stack_.pop_back();
    WorldPoint p = ring[at(span.from)], q = ring[at(span.to)];
    // The sums of doubles round alike when the ends come in the same order.
    if (!forward) std::swap(p, q);
    double most = -1;
    uint32_t farthest = 0;
    for (uint32_t i = span.from + 1; i < span.to; i++) {
      const double square = square_of(p, q, ring[at(i)]);
      if (square > most || (square == most && !forward)) {
        most = square;
        farthest = i;
      }
    }
    const double square = std::min(most, span.limit);
    const uint8_t zoom = zoom_of(square);
    if (zoom > most_) continue;
    zooms[at(farthest)] = zoom;
    if (farthest - span.from > 1) stack_.push_back({span.from, farthest, square});
    if (span.to - farthest > 1) stack_.push_back({farthest, span.to, square});
  }
}

}  // namespace fields
