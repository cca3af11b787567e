#include "parquet/repeated_ids.h"

#include <algorithm>

namespace fields {
namespace {

// Finalizer of MurmurHash3: every bit of the key affects every bit.
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

RepeatedIds::RepeatedIds(uint32_t partition, uint32_t partitions, size_t expected)
    : partition_(partition), partitions_(partitions) {
  // Partitions differ in size by chance.
  keys_.reserve(expected + expected / 64 + 1024);
}

void RepeatedIds::add(const Rows& from, uint32_t first_row) {
  for (size_t i = 0; i < from.count; i++) {
    const auto row = static_cast<uint32_t>(first_row + i);
    if (from.present != nullptr && from.present[i] == 0) {
      if (partition_ == 0 && !second_) nulls.push_back(row);
      continue;
    }
    const uint64_t key = from.bytes != nullptr ? hash(from.bytes[i]) : static_cast<uint64_t>(from.integers[i]);
    if (partitions_ > 1 && (mix(key) >> 32) % partitions_ != partition_) continue;
    if (!second_) {
      keys_.push_back(key);
      continue;
    }
    const auto found = repeated_.find(key);
    if (found == repeated_.end()) continue;
    if (found->second == kNone) {
      found->second = row;
    } else {
      rows.push_back(row);
      first.push_back(found->second);
    }
  }
}

bool RepeatedIds::again() {
  std::sort(keys_.begin(), keys_.end());
  for (size_t i = 1; i < keys_.size(); i++) {
    if (keys_[i] == keys_[i - 1]) repeated_.emplace(keys_[i], kNone);
  }
  keys_ = {};
  second_ = true;
  return !repeated_.empty();
}

}  // namespace fields
