#include "table.h"

#include <algorithm>
#include <limits>
#include <type_traits>

namespace fields {
namespace {

// Values of the rows that have one, and which those are.
struct Values {
  std::vector<double> values;
  std::vector<uint8_t> present;
};

template <typename Has, typename Value>
Values collect(uint32_t rows, Has&& has, Value&& value) {
  Values all;
  all.values.reserve(rows);
  all.present.resize(rows + 1);  // A row more: without rows it would be no pointer.
  for (uint32_t row = 0; row < rows; row++) {
    all.present[row] = has(row) ? 1 : 0;
    if (all.present[row] != 0) all.values.push_back(static_cast<double>(value(row)));
  }
  return all;
}

// Where the first value stands that is no whole number between two bounds; at the end where all are.
size_t misfit_of(const std::vector<double>& values, double least, double most) {
  for (size_t i = 0; i < values.size(); i++) {
    const double v = values[i];
    if (!(v >= least && v <= most) || v != static_cast<double>(static_cast<int64_t>(v))) return i;
  }
  return values.size();
}

template <typename T>
Chunk encode_as(const std::vector<double>& values, Validity valid, uint32_t rows, bool is_unsigned) {
  std::vector<T> typed(values.size());
  for (size_t i = 0; i < values.size(); i++) {
    if constexpr (std::is_integral<T>::value) {
      typed[i] = static_cast<T>(static_cast<int64_t>(values[i]));
    } else {
      typed[i] = static_cast<T>(values[i]);
    }
  }
  return encode_numbers(typed, valid, rows, is_unsigned);
}

// Whole numbers that a type holds and a double tells apart.
struct Bounds {
  double least, most;
};

Bounds bounds_of(ColumnType type) {
  constexpr double kExact = 9007199254740991;
  switch (type) {
    case ColumnType::kInt8: return {-128, 127};
    case ColumnType::kUint8: return {0, 255};
    case ColumnType::kInt16: return {-32768, 32767};
    case ColumnType::kUint16: return {0, 65535};
    case ColumnType::kInt32: return {-2147483648.0, 2147483647};
    case ColumnType::kUint32: return {0, 4294967295};
    case ColumnType::kInt64: return {-kExact, kExact};
    default: return {0, kExact};
  }
}

Chunk encode_column(ColumnType type, const Values& all, bool nullable, uint32_t rows) {
  const Validity valid = nullable ? all.present.data() : nullptr;
  switch (type) {
    case ColumnType::kFloat: return encode_as<float>(all.values, valid, rows, false);
    case ColumnType::kDouble: return encode_as<double>(all.values, valid, rows, false);
    case ColumnType::kInt64: return encode_as<int64_t>(all.values, valid, rows, false);
    case ColumnType::kUint64: return encode_as<int64_t>(all.values, valid, rows, true);
    case ColumnType::kUint8:
    case ColumnType::kUint16:
    case ColumnType::kUint32: return encode_as<int32_t>(all.values, valid, rows, true);
    default: return encode_as<int32_t>(all.values, valid, rows, false);
  }
}

}  // namespace

template <typename Code, typename Amount>
EncodedRows encode_rows(const TableRows<Code, Amount>& in, const std::vector<TableColumn>& columns,
                        const TableWords& words) {
  const auto answered = [&](uint32_t row) { return in.pixels[row] > 0; };
  const auto always = [](uint32_t) { return true; };
  const auto reason = [&](uint32_t row) -> uint32_t {
    if (words.has_pixels[in.status[row]] == 0) return in.status[row];
    return in.covered[row] > 0 ? static_cast<uint32_t>(words.reasons.size() - 1) : words.outside;
  };
  EncodedRows out;
  out.reasons.resize(words.reasons.size());
  for (uint32_t row = 0; row < in.rows; row++) {
    out.valid += static_cast<double>(in.valid[row]);
    if (answered(row))
      out.answered++;
    else
      out.reasons[reason(row)]++;
  }
  for (uint32_t i = 0; i < columns.size(); i++) {
    const auto [source, type] = columns[i];
    if (source == Source::kRule || source == Source::kReason) {
      const bool why = source == Source::kReason;
      const Values all = collect(
          in.rows, [&](uint32_t row) { return answered(row) != why; },
          [&](uint32_t row) { return why ? reason(row) : uint32_t{in.status[row]}; });
      const std::vector<uint32_t> index(all.values.begin(), all.values.end());
      out.columns.push_back(encode_choices(index, why ? words.reasons : words.rules, all.present.data(), in.rows));
      continue;
    }
    const Values all = [&] {
      switch (source) {
        case Source::kCode: return collect(in.rows, answered, [&](uint32_t row) { return in.code[row]; });
        case Source::kPixels: return collect(in.rows, always, [&](uint32_t row) { return in.pixels[row]; });
        case Source::kValid: return collect(in.rows, always, [&](uint32_t row) { return in.valid[row]; });
        case Source::kShare:
          return collect(in.rows, answered, [&](uint32_t row) {
            const double share = static_cast<double>(in.pixels[row]) / static_cast<double>(in.valid[row]);
            return static_cast<float>(share);
          });
        case Source::kSecond:
          return collect(
              in.rows, [&](uint32_t row) { return in.second_pixels[row] > 0; },
              [&](uint32_t row) { return in.second[row]; });
        default: return collect(in.rows, always, [&](uint32_t row) { return in.second_pixels[row]; });
      }
    }();
    if (type != ColumnType::kFloat && type != ColumnType::kDouble) {
      const auto [least, most] = bounds_of(type);
      const size_t at = misfit_of(all.values, least, most);
      if (at < all.values.size()) {
        uint32_t row = 0;
        for (size_t before = 0; all.present[row] == 0 || before < at; row++) before += all.present[row];
        out.misfit = true;
        out.misfit_column = i;
        out.misfit_row = row;
        out.misfit_value = all.values[at];
        return out;
      }
    }
    const bool nullable = source == Source::kCode || source == Source::kShare || source == Source::kSecond;
    out.columns.push_back(encode_column(type, all, nullable, in.rows));
  }
  return out;
}

#define FIELDS_TABLE(C)                                                                                         \
  template EncodedRows encode_rows<C, uint32_t>(const TableRows<C, uint32_t>&, const std::vector<TableColumn>&, \
                                                const TableWords&);                                             \
  template EncodedRows encode_rows<C, double>(const TableRows<C, double>&, const std::vector<TableColumn>&,     \
                                              const TableWords&);
FIELDS_TABLE(uint8_t)
FIELDS_TABLE(int8_t)
FIELDS_TABLE(uint16_t)
FIELDS_TABLE(int16_t)
FIELDS_TABLE(uint32_t)
FIELDS_TABLE(int32_t)
FIELDS_TABLE(float)
FIELDS_TABLE(double)
#undef FIELDS_TABLE

}  // namespace fields
