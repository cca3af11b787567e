// CRC-32 of gzip as a linear function: its change when single bytes change.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>

namespace fields {

// Polynomials over GF(2) modulo the CRC's, the highest bit being x^0.
constexpr uint32_t kCrcPolynomial = 0xedb88320;
constexpr uint32_t kCrcOne = 0x80000000;

constexpr std::array<uint32_t, 256> crc_table() {
  std::array<uint32_t, 256> table{};
  for (uint32_t byte = 0; byte < 256; byte++) {
    uint32_t value = byte;
    for (int bit = 0; bit < 8; bit++) value = value >> 1 ^ (kCrcPolynomial & -(value & 1));
    table[byte] = value;
  }
  return table;
}
inline constexpr std::array<uint32_t, 256> kCrcTable = crc_table();

constexpr uint32_t crc_times_x(uint32_t value) { return value >> 1 ^ (kCrcPolynomial & -(value & 1)); }
constexpr uint32_t crc_times_x8(uint32_t value) { return value >> 8 ^ kCrcTable[value & 0xff]; }

constexpr uint32_t crc_product(uint32_t a, uint32_t b) {
  uint32_t product = 0;
  for (int bit = 31; bit >= 0; bit--) {
    product ^= b & -(a >> bit & 1);
    b = crc_times_x(b);
  }
  return product;
}

// How the CRC changes when a byte does by `difference`; `power`: x^8 to the number of bytes behind it.
constexpr uint32_t crc_change(uint8_t difference, uint32_t power) { return crc_product(kCrcTable[difference], power); }

}  // namespace fields
