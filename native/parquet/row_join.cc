#include "parquet/row_join.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <optional>

namespace fields {
namespace {

// Rows of a column, page by page, in pieces of any size.
class RowStream {
 public:
  explicit RowStream(const WholeColumn& column) : column_(column) {}

  // Number of available rows; 0 after the last.
  size_t left() {
    while (at_ == rows_.count) {
      if (reader_ && reader_->next(rows_)) {
        at_ = 0;
        continue;
      }
      rows_.count = at_ = 0;
      reader_.reset();
      if (part_ == column_.parts.size()) return 0;
      reader_.emplace(column_.file, column_.parts[part_++]);
    }
    return rows_.count - at_;
  }
  void skip(size_t count) { at_ += count; }
  bool present(size_t i) const { return rows_.present == nullptr || rows_.present[at_ + i] != 0; }
  int64_t integer(size_t i) const { return rows_.integers[at_ + i]; }
  double number(size_t i) const {
    const int64_t value = integer(i);
    if (column_.parts[part_ - 1].type != PhysicalType::kDouble) return static_cast<double>(value);
    double number;
    std::memcpy(&number, &value, sizeof number);
    return number;
  }
  bool is_text() const { return rows_.bytes != nullptr; }
  const Bytes& text(size_t i) const { return rows_.bytes[at_ + i]; }

 private:
  WholeColumn column_;
  size_t part_ = 0, at_ = 0;
  std::optional<ColumnReader> reader_;
  Rows rows_;
};

bool same(const RowStream& a, const RowStream& b, size_t i) {
  if (a.present(i) != b.present(i)) return false;
  if (!a.present(i)) return true;
  if (a.is_text() != b.is_text()) return false;
  if (!a.is_text()) return a.integer(i) == b.integer(i);
  const Bytes &x = a.text(i), &y = b.text(i);
  return x.size == y.size && (x.size == 0 || std::memcmp(x.at, y.at, x.size) == 0);
}

}  // namespace

template <typename Number>
bool join_in_step(const WholeColumn& left_ids, const WholeColumn& ids, const WholeColumn& numbers, Number* out,
                  uint64_t rows) {
  RowStream left(left_ids), right(ids), values(numbers);
  uint64_t row = 0;
  for (;;) {
    const size_t n = std::min({left.left(), right.left(), values.left()});
    if (n == 0 || n > rows - row) break;
    for (size_t i = 0; i < n; i++) {
      if (!same(left, right, i)) return false;
      out[row + i] = static_cast<Number>(values.present(i) ? values.number(i) : NAN);
    }
    for (RowStream* stream : {&left, &right, &values}) stream->skip(n);
    row += n;
  }
  return row == rows && left.left() == 0 && right.left() == 0 && values.left() == 0;
}

template bool join_in_step(const WholeColumn&, const WholeColumn&, const WholeColumn&, double*, uint64_t);
template bool join_in_step(const WholeColumn&, const WholeColumn&, const WholeColumn&, float*, uint64_t);

}  // namespace fields
