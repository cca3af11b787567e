// Ids that stood in an earlier row.
#pragma once
#include <cstdint>
#include <vector>

#include "parquet_column.h"

namespace fields {

// Takes ids in row order and keeps those of one partition, so that memory is bounded whatever the number of rows:
// 24 to 48 bytes an id that it keeps.
class RepeatedIds {
 public:
  RepeatedIds(uint32_t partition, uint32_t partitions) : partition_(partition), partitions_(partitions) {}

  void add(const Rows& rows, uint32_t first_row);

  // Rows whose id stood before, and for each the first row that had it. Strings are told apart by 64 bits of hash.
  std::vector<uint32_t> rows, first;
  // Rows without an id; partition 0 alone tells of them.
  std::vector<uint32_t> nulls;

 private:
  void add(uint64_t key, uint32_t row);
  void grow();
  size_t find(uint64_t key, uint64_t mixed) const;

  uint32_t partition_, partitions_;
  size_t used_ = 0;
  std::vector<uint64_t> keys_;
  std::vector<uint32_t> slots_;  // row + 1; 0 is free
};

}  // namespace fields
