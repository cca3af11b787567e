#include "tiles/tiler/spill.h"

#include "tiles/protobuf.h"

namespace fields {
namespace {

uint32_t zigzag(uint32_t from, uint32_t to) {
  // Modulo 2^32: the difference of any two coordinates fits.
  const auto step = static_cast<int32_t>(to - from);
  return (static_cast<uint32_t>(step) << 1) ^ static_cast<uint32_t>(step >> 31);
}

uint32_t unzigzag(uint32_t from, uint32_t value) { return from + ((value >> 1) ^ (0u - (value & 1))); }

[[noreturn]] void damaged() { throw TileError("record of a field is damaged"); }

uint32_t number(const uint8_t*& at, const uint8_t* end) {
  uint32_t value = 0;
  for (int shift = 0; shift < 35; shift += 7) {
    if (at == end) damaged();
    const uint8_t byte = *at++;
    value |= static_cast<uint32_t>(byte & 0x7f) << shift;
    if (byte < 0x80) return value;
  }
  damaged();
}

}  // namespace

void spill_field(const WorldField& field, SpilledId id, uint32_t row_before, Buffer& out) {
  const size_t numbers = 5 + field.part_end.size() + field.ring_end.size() + 2 * field.points.size();
  uint8_t* const start = out.room(5 * numbers + id.size);
  uint8_t* to = put_number(start, field.row - row_before);
  to = put_number(to, id.size);
  if (id.size > 0) to = put_bytes(to, id.bytes, id.size);
  to = put_number(put_number(to, field.label.x), field.label.y);
  to = put_number(to, field.part_end.size());
  for (uint32_t part = 0, ring = 0; part < field.part_end.size(); part++) {
    to = put_number(to, field.part_end[part] - ring);
    for (; ring < field.part_end[part]; ring++) to = put_number(to, field.ring_end[ring] - field.ring_begin(ring));
  }
  WorldPoint before = field.label;
  for (const WorldPoint& p : field.points) {
    to = put_number(put_number(to, zigzag(before.x, p.x)), zigzag(before.y, p.y));
    before = p;
  }
  out.size += static_cast<size_t>(to - start);
}

bool SpillReader::next(WorldField& field, SpilledId& id) {
  if (at_ == end_) return false;
  field.clear();
  row_ += number(at_, end_);
  field.row = row_;
  id.size = number(at_, end_);
  id.bytes = at_;
  if (id.size > static_cast<size_t>(end_ - at_)) damaged();
  at_ += id.size;
  field.label.x = number(at_, end_);
  field.label.y = number(at_, end_);
  uint64_t points = 0;
  for (uint32_t parts = number(at_, end_); parts > 0; parts--) {
    for (uint32_t rings = number(at_, end_); rings > 0; rings--) {
      const uint32_t n = number(at_, end_);
      points += n;
      // Two bytes a point or more.
      if (n < 3 || points > static_cast<uint64_t>(end_ - at_) / 2) damaged();
      field.ring_end.push_back(static_cast<uint32_t>(points));
    }
    field.part_end.push_back(static_cast<uint32_t>(field.ring_end.size()));
  }
  field.points.resize(points);
  WorldPoint before = field.label;
  for (WorldPoint& p : field.points) {
    p.x = unzigzag(before.x, number(at_, end_));
    p.y = unzigzag(before.y, number(at_, end_));
    before = p;
  }
  return true;
}

}  // namespace fields
