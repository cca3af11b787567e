// Ids that stood in an earlier row.
#pragma once
#include <cstdint>
#include <unordered_map>
#include <vector>

#include "parquet/parquet_column.h"

namespace fields {

// Finds repeated ids of one partition, so memory is bounded: 8 bytes per id of the partition. All rows are added once
// and, if there are repeated keys, a second time.
class RepeatedIds {
 public:
  // `expected`: approximate number of ids in the partition.
  RepeatedIds(uint32_t partition, uint32_t partitions, size_t expected);

  void add(const Rows& rows, uint32_t first_row);
  // After the first round: whether a second one is needed.
  bool again();

  // Rows with an earlier id, and the first row with that id. Strings are compared by a hash of 64 bits.
  std::vector<uint32_t> rows, first;
  // Rows without an id; reported by partition 0 only.
  std::vector<uint32_t> nulls;

 private:
  uint32_t partition_, partitions_;
  std::vector<uint64_t> keys_;
  bool second_ = false;
  // In the second round: repeated keys and the first row of each, or kNone.
  static constexpr uint32_t kNone = UINT32_MAX;
  std::unordered_map<uint64_t, uint32_t> repeated_;
};

}  // namespace fields
