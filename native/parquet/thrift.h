// Thrift's compact protocol, as far as parquet's footer, page headers and offset index need it. Every length is
// held against the bytes that are left.
#pragma once
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>

namespace fields {

// The bytes end inside a value; the caller may have more.
struct ThriftEnd : std::runtime_error {
  ThriftEnd() : std::runtime_error("metadata are cut short") {}
};

class Thrift {
 public:
  enum Type : uint8_t {
    kStop,
    kTrue,
    kFalse,
    kByte,
    kI16,
    kI32,
    kI64,
    kDouble,
    kBinary,
    kList,
    kSet,
    kMap,
    kStruct,
  };

  Thrift(const uint8_t* bytes, size_t size) : begin_(bytes), at_(bytes), end_(bytes + size) {}

  size_t used() const { return static_cast<size_t>(at_ - begin_); }

  // Calls on_field(id, type) for each field of a struct; it must read or skip the value.
  template <typename F>
  void read_struct(F&& on_field) {
    const Nesting nesting(*this);
    int32_t id = 0;
    for (;;) {
      const uint8_t head = byte();
      const auto type = static_cast<Type>(head & 15);
      if (type == kStop) return;
      const int32_t delta = head >> 4;
      id = delta != 0 ? id + delta : static_cast<int32_t>(read_int());
      on_field(id, type);
    }
  }

  // Calls on_element(type) for each element; it must read or skip it.
  template <typename F>
  void read_list(F&& on_element) {
    const uint8_t head = byte();
    const auto type = static_cast<Type>(head & 15);
    const uint64_t size = head >> 4 == 15 ? varint() : head >> 4;
    // An element has at least one byte.
    if (size > left()) throw ThriftEnd();
    for (uint64_t i = 0; i < size; i++) on_element(type);
  }

  int64_t read_int() {
    const uint64_t value = varint();
    return static_cast<int64_t>(value >> 1) ^ -static_cast<int64_t>(value & 1);
  }

  std::string read_string() {
    const uint64_t size = varint();
    if (size > left()) throw ThriftEnd();
    const auto* from = reinterpret_cast<const char*>(at_);
    at_ += size;
    return {from, static_cast<size_t>(size)};
  }

  void skip(Type type) {
    switch (type) {
      case kTrue:
      case kFalse: return;
      case kByte: advance(1); return;
      case kI16:
      case kI32:
      case kI64: varint(); return;
      case kDouble: advance(8); return;
      case kBinary: advance(varint()); return;
      case kList:
      case kSet: {
        const Nesting nesting(*this);
        // A boolean inside a list has its own byte.
        read_list([&](Type element) { element <= kFalse ? advance(1) : skip(element); });
        return;
      }
      case kStruct: read_struct([&](int32_t, Type field) { skip(field); }); return;
      case kMap: {
        const Nesting nesting(*this);
        const uint64_t size = varint();
        if (size == 0) return;
        if (size > left()) throw ThriftEnd();
        const uint8_t types = byte();
        const auto key = static_cast<Type>(types >> 4), value = static_cast<Type>(types & 15);
        for (uint64_t i = 0; i < size; i++) {
          for (const Type element : {key, value}) element <= kFalse ? advance(1) : skip(element);
        }
        return;
      }
      default: throw std::runtime_error("metadata are damaged");
    }
  }

 private:
  // Parquet needs few levels; damaged bytes must not exhaust the stack.
  struct Nesting {
    explicit Nesting(Thrift& thrift) : depth(thrift.depth_) {
      if (++depth > 32) throw std::runtime_error("metadata are damaged");
    }
    ~Nesting() { depth--; }
    int& depth;
  };

  size_t left() const { return static_cast<size_t>(end_ - at_); }

  void advance(uint64_t n) {
    if (n > left()) throw ThriftEnd();
    at_ += n;
  }

  uint8_t byte() {
    if (at_ == end_) throw ThriftEnd();
    return *at_++;
  }

  uint64_t varint() {
    uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      const uint8_t next = byte();
      value |= static_cast<uint64_t>(next & 127) << shift;
      if (next < 128) return value;
    }
    throw std::runtime_error("metadata are damaged");
  }

  const uint8_t* begin_;
  const uint8_t* at_;
  const uint8_t* end_;
  int depth_ = 0;
};

}  // namespace fields
