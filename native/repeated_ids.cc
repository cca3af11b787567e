#include "repeated_ids.h"

namespace fields {
namespace {

// Finalizer of MurmurHash3: every bit of the key decides on every bit.
uint64_t mix(uint64_t x) {
  x ^= x >> 33;
  x *= 0xff51afd7ed558ccdu;
  x ^= x >> 33;
  x *= 0xc4ceb9fe1a85ec53u;
  return x ^ x >> 33;
}

// FNV-1a
uint64_t hash(const Bytes& bytes) {
  uint64_t value = 0xcbf29ce484222325u;
  for (size_t i = 0; i < bytes.size; i++) value = (value ^ bytes.at[i]) * 0x100000001b3u;
  return value;
}

}  // namespace

void RepeatedIds::add(const Rows& from, uint32_t first_row) {
  for (size_t i = 0; i < from.count; i++) {
    const auto row = static_cast<uint32_t>(first_row + i);
    if (from.present != nullptr && from.present[i] == 0) {
      if (partition_ == 0) nulls.push_back(row);
    } else {
      add(from.bytes != nullptr ? hash(from.bytes[i]) : static_cast<uint64_t>(from.integers[i]), row);
    }
  }
}

void RepeatedIds::add(uint64_t key, uint32_t row) {
  const uint64_t mixed = mix(key);
  if ((mixed >> 40) % partitions_ != partition_) return;
  if (2 * (used_ + 1) > slots_.size()) grow();
  const size_t slot = find(key, mixed);
  if (slots_[slot] != 0) {
    rows.push_back(row);
    first.push_back(slots_[slot] - 1);
    return;
  }
  keys_[slot] = key;
  slots_[slot] = row + 1;
  used_++;
}

size_t RepeatedIds::find(uint64_t key, uint64_t mixed) const {
  const size_t mask = slots_.size() - 1;
  size_t slot = mixed & mask;
  while (slots_[slot] != 0 && keys_[slot] != key) slot = (slot + 1) & mask;
  return slot;
}

void RepeatedIds::grow() {
  const std::vector<uint64_t> keys = std::move(keys_);
  const std::vector<uint32_t> slots = std::move(slots_);
  const size_t size = slots.empty() ? 1024 : 2 * slots.size();
  keys_.assign(size, 0);
  slots_.assign(size, 0);
  for (size_t i = 0; i < slots.size(); i++) {
    if (slots[i] == 0) continue;
    const size_t slot = find(keys[i], mix(keys[i]));
    keys_[slot] = keys[i];
    slots_[slot] = slots[i];
  }
}

}  // namespace fields
