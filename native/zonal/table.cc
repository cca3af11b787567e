#include "zonal/table.h"

#include <algorithm>
#include <limits>
#include <type_traits>

namespace fields {
namespace {

// Values of the rows that have one, and a flag per row.
struct Values {
  std::vector<double> values;
  std::vector<uint8_t> present;
};

// Without a branch, because presence is unpredictable: the value is also read for rows that have none.
template <typename Has, typename Value>
void collect(uint32_t rows, Has&& has, Value&& value, Values& all) {
  all.values.resize(rows);
  all.present.resize(size_t{rows} + 1);  // One more, so that the pointer is not null without rows.
  size_t count = 0;
  for (uint32_t row = 0; row < rows; row++) {
    const bool present = has(row);
    all.present[row] = present ? 1 : 0;
    all.values[count] = static_cast<double>(value(row));
    count += present ? 1 : 0;
  }
  all.values.resize(count);
}

// Position of the first value that is not an integer between two bounds; the end if all are.
size_t misfit_of(const std::vector<double>& values, double least, double most) {
  for (size_t i = 0; i < values.size(); i++) {
    const double v = values[i];
    if (!(v >= least && v <= most) || v != static_cast<double>(static_cast<int64_t>(v))) return i;
  }
  return values.size();
}

// Buffers that columns reuse.
struct Columns {
  Values all;
  std::vector<int32_t> int32;
  std::vector<int64_t> int64;
  std::vector<float> float32;
  std::vector<double> float64;
  Workspace space;
};

template <typename T>
Chunk encode_as(std::vector<T>& typed, Columns& memory, Validity valid, uint32_t rows, bool is_unsigned) {
  const auto& values = memory.all.values;
  typed.resize(values.size());
  for (size_t i = 0; i < values.size(); i++) {
    if constexpr (std::is_integral<T>::value) {
      typed[i] = static_cast<T>(static_cast<int64_t>(values[i]));
    } else {
      typed[i] = static_cast<T>(values[i]);
    }
  }
  return encode_numbers(typed, valid, rows, is_unsigned, memory.space);
}

// Integers that fit a type and are exact in a double.
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

Chunk encode_column(ColumnType type, Columns& memory, bool nullable, uint32_t rows) {
  const Validity valid = nullable ? memory.all.present.data() : nullptr;
  switch (type) {
    case ColumnType::kFloat: return encode_as(memory.float32, memory, valid, rows, false);
    case ColumnType::kDouble: return encode_as(memory.float64, memory, valid, rows, false);
    case ColumnType::kInt64: return encode_as(memory.int64, memory, valid, rows, false);
    case ColumnType::kUint64: return encode_as(memory.int64, memory, valid, rows, true);
    case ColumnType::kUint8:
    case ColumnType::kUint16:
    case ColumnType::kUint32: return encode_as(memory.int32, memory, valid, rows, true);
    default: return encode_as(memory.int32, memory, valid, rows, false);
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
  Columns memory;
  Values& all = memory.all;
  for (uint32_t i = 0; i < columns.size(); i++) {
    const auto [source, type] = columns[i];
    if (source == Source::kRule || source == Source::kReason) {
      const bool why = source == Source::kReason;
      collect(
          in.rows, [&](uint32_t row) { return answered(row) != why; },
          [&](uint32_t row) { return why ? reason(row) : uint32_t{in.status[row]}; }, all);
      const std::vector<uint32_t> index(all.values.begin(), all.values.end());
      const auto& texts = why ? words.reasons : words.rules;
      out.columns.push_back(encode_choices(index, texts, all.present.data(), in.rows, memory.space));
      continue;
    }
    const auto from = [&](const auto* values, auto&& has) {
      collect(
          in.rows, has, [&](uint32_t row) { return values[row]; }, all);
    };
    switch (source) {
      case Source::kCode: from(in.code, answered); break;
      case Source::kPixels: from(in.pixels, always); break;
      case Source::kValid: from(in.valid, always); break;
      case Source::kSecond: from(in.second, [&](uint32_t row) { return in.second_pixels[row] > 0; }); break;
      case Source::kSecondPixels: from(in.second_pixels, always); break;
      default:
        collect(
            in.rows, answered,
            [&](uint32_t row) {
              return static_cast<float>(static_cast<double>(in.pixels[row]) / static_cast<double>(in.valid[row]));
            },
            all);
    }
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
    out.columns.push_back(encode_column(type, memory, nullable, in.rows));
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
