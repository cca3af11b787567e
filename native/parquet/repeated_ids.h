// Ids that stood in an earlier row.
#pragma once
#include <cstdint>
#include <unordered_map>
#include <vector>

#include "parquet/parquet_column.h"

namespace fields {

// Takes the ids of one partition out of all, so that memory is bounded whatever the number of rows: 8 bytes an id that
// it keeps. All rows are added once, then, if there is anything to find, once more.
class RepeatedIds {
 public:
  // `expected`: how many ids the partition will have, about.
  RepeatedIds(uint32_t partition, uint32_t partitions, size_t expected);

  void add(const Rows& rows, uint32_t first_row);
  // After the first round: whether a second is needed.
  bool again();

  // Rows whose id stood before, and for each the first row that had it. Strings are compared by 64 bits of hash.
  std::vector<uint32_t> rows, first;
  // Rows without an id; partition 0 alone tells of them.
  std::vector<uint32_t> nulls;

 private:
  uint32_t partition_, partitions_;
  std::vector<uint64_t> keys_;
  bool second_ = false;
  // In the second round: keys that there are several of, and the first row of each, or kNone.
  static constexpr uint32_t kNone = UINT32_MAX;
  std::unordered_map<uint64_t, uint32_t> repeated_;
};

}  // namespace fields
