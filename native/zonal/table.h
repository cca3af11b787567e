// Encodes the answers as the zonal table's parquet columns.
#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

#include "parquet/encode.h"

namespace fields {

// Source of a column; in the order of TABLE_SOURCES in src/kernel/zonal.ts.
enum class Source : uint8_t { kCode, kPixels, kValid, kShare, kSecond, kSecondPixels, kRule, kReason };

// Type of a column; in the order of TABLE_TYPES there.
enum class ColumnType : uint8_t {
  kInt8,
  kUint8,
  kInt16,
  kUint16,
  kInt32,
  kUint32,
  kInt64,
  kUint64,
  kFloat,
  kDouble,
  kText
};

struct TableColumn {
  Source source;
  ColumnType type;
};

// Answers of some rows; `Code` is the band's type, `Amount` that of pixels or weights.
template <typename Code, typename Amount>
struct TableRows {
  const Code *code, *second;
  const Amount *pixels, *valid, *covered, *second_pixels;
  const uint8_t* status;
  uint32_t rows;
};

// Words for statuses: the rule that answered, and why there is no answer. For a status with pixels the reason is
// `outside` if the raster has none of them, else the last.
struct TableWords {
  std::vector<ByteList> rules, reasons;
  std::vector<uint8_t> has_pixels;
  uint32_t outside;
};

struct EncodedRows {
  std::vector<Chunk> columns;
  uint32_t answered = 0;
  double valid = 0;
  std::vector<uint32_t> reasons;  // rows without an answer, by reason
  // The first number that does not fit its column's type; the rest of the result is then invalid.
  bool misfit = false;
  uint32_t misfit_column = 0, misfit_row = 0;
  double misfit_value = 0;
};

// `statuses` are less than the number of rules.
template <typename Code, typename Amount>
EncodedRows encode_rows(const TableRows<Code, Amount>& rows, const std::vector<TableColumn>& columns,
                        const TableWords& words);

}  // namespace fields
