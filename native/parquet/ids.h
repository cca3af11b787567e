// Ids of consecutive rows of a parquet column.
#pragma once
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

#include "parquet/parquet_column.h"

namespace fields {

// Collects ids and notes whether they ascend.
struct Ids {
  bool text, is_unsigned, wide;
  uint32_t rows = 0;
  bool rising = true;
  std::vector<int64_t> numbers;
  std::vector<uint8_t> texts;
  std::vector<uint32_t> lengths;
  std::vector<uint8_t> valid;  // empty while every row has an id

  explicit Ids(const ColumnPart& part)
      : text(part.type == PhysicalType::kByteArray),
        is_unsigned(part.is_unsigned),
        wide(part.type == PhysicalType::kInt64) {}

  void add(const Rows& from) {
    for (size_t i = 0; i < from.count; i++, rows++) {
      const bool there = from.present == nullptr || from.present[i] != 0;
      if (!there && valid.empty()) valid.assign(rows, 1);
      if (!there || !valid.empty()) valid.push_back(there);
      rising = rising && there;
      if (text) {
        add(there ? from.bytes[i] : Bytes{nullptr, 0});
      } else {
        add(there ? from.integers[i] : 0);
      }
    }
  }

 private:
  // Strings are compared by their bytes.
  void add(const Bytes& value) {
    if (rising && rows > 0) {
      const size_t before = lengths.back(), shared = std::min(before, value.size);
      const int order = shared > 0 ? std::memcmp(texts.data() + texts.size() - before, value.at, shared) : 0;
      rising = order < 0 || (order == 0 && before < value.size);
    }
    texts.insert(texts.end(), value.at, value.at + value.size);
    lengths.push_back(static_cast<uint32_t>(value.size));
  }

  void add(int64_t value) {
    // Unsigned 64-bit integers: flip the highest bit to compare as signed.
    const uint64_t turn = is_unsigned && wide ? uint64_t{1} << 63 : 0;
    const auto key = [&](int64_t number) { return static_cast<int64_t>(static_cast<uint64_t>(number) ^ turn); };
    rising = rising && (rows == 0 || key(numbers.back()) < key(value));
    numbers.push_back(value);
  }
};

}  // namespace fields
