// Two tables read in step.
#pragma once
#include <cstdint>
#include <vector>

#include "parquet/parquet_column.h"

namespace fields {

// A column, all of its chunks in order.
struct WholeColumn {
  const File& file;
  const std::vector<ColumnPart>& parts;
};

// Whether the ids of two tables with `rows` rows each agree row by row; then `out` has the second table's numbers,
// integers or doubles, NaN for a row without one. `Number`: double or float. Throws as ColumnReader does.
template <typename Number>
bool join_in_step(const WholeColumn& left_ids, const WholeColumn& ids, const WholeColumn& numbers, Number* out,
                  uint64_t rows);

}  // namespace fields
