#include "count.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

namespace fields {
namespace {

// Runs between asking for pixels and counting them.
constexpr int kAhead = 24;

// Histogram of one field at a time: cleared by walking what was touched, never by its size.
template <typename T>
class Histogram;

// 8 and 16 bit classes index a table directly.
template <typename T>
class Direct {
 public:
  Direct(const double* skip, size_t skips) : counts_(size_t{1} << (8 * sizeof(T)), 0), skip_(counts_.size(), 0) {
    for (size_t i = 0; i < skips; i++) {
      using Limits = std::numeric_limits<T>;
      if (!(skip[i] >= Limits::min() && skip[i] <= Limits::max())) continue;
      const auto code = static_cast<T>(skip[i]);
      if (static_cast<double>(code) == skip[i]) skip_[index(code)] = 1;
    }
  }

  void add(T code, uint32_t n) {
    uint32_t& count = counts_[index(code)];
    if (count == 0) touched_.push_back(code);
    count += n;
  }

  // By class: the order in which classes come depends on how runs are walked.
  void sort() { std::sort(touched_.begin(), touched_.end()); }

  // f(class, pixels) for all that is counted; leaves the histogram empty.
  template <typename F>
  void drain(F&& f) {
    for (const T code : touched_) {
      uint32_t& count = counts_[index(code)];
      if (skip_[index(code)] == 0) f(static_cast<double>(code), count);
      count = 0;
    }
    touched_.clear();
  }

 private:
  static size_t index(T code) { return static_cast<typename std::make_unsigned<T>::type>(code); }
  std::vector<uint32_t> counts_;
  std::vector<uint8_t> skip_;
  std::vector<T> touched_;
};

// Wider classes: open addressing over the few that a field holds.
template <typename T>
class Hashed {
 public:
  Hashed(const double* skip, size_t skips) : skip_(skip, skip + skips), slots_(256) {}

  void add(T code, uint32_t n) {
    if (code != code) return;  // NaN
    if (code == 0) code = 0;   // -0.0 is 0
    size_t at = hash(code) & (slots_.size() - 1);
    while (slots_[at].count != 0 && slots_[at].code != code) at = (at + 1) & (slots_.size() - 1);
    if (slots_[at].count == 0) {
      if (2 * (touched_.size() + 1) > slots_.size()) {
        grow();
        add(code, n);
        return;
      }
      slots_[at].code = code;
      touched_.push_back(static_cast<uint32_t>(at));
    }
    slots_[at].count += n;
  }

  void sort() {
    std::sort(touched_.begin(), touched_.end(),
              [this](uint32_t a, uint32_t b) { return slots_[a].code < slots_[b].code; });
  }

  template <typename F>
  void drain(F&& f) {
    for (const uint32_t at : touched_) {
      Slot& slot = slots_[at];
      const auto code = static_cast<double>(slot.code);
      bool skipped = false;
      for (const double s : skip_) skipped = skipped || s == code;
      if (!skipped) f(code, slot.count);
      slot.count = 0;
    }
    touched_.clear();
  }

 private:
  struct Slot {
    T code{};
    uint32_t count = 0;
  };

  static size_t hash(T code) {
    uint64_t bits = 0;
    std::memcpy(&bits, &code, sizeof(T));
    bits *= 0x9e3779b97f4a7c15u;
    return static_cast<size_t>(bits >> 32);
  }

  void grow() {
    std::vector<Slot> old(slots_.size() * 2);
    old.swap(slots_);
    std::vector<uint32_t> touched;
    touched.swap(touched_);
    for (const uint32_t at : touched) add(old[at].code, old[at].count);
  }

  std::vector<double> skip_;
  std::vector<Slot> slots_;
  std::vector<uint32_t> touched_;
};

#ifdef __SSE2__
// Bytes, the usual case: a field's pixels are gathered first and then compared sixteen at a time with one of
// them, so that only those that differ are counted one by one. Gathering decides nothing by what it reads, so
// the processor fetches many rows at once; counting as it reads, it would wait for each.
template <>
class Histogram<uint8_t> : public Direct<uint8_t> {
 public:
  using Direct::Direct;

  // `end` is where the window's memory ends.
  void add_run(const uint8_t* run, uint32_t length, const uint8_t* end) {
    if (held_ + length > kHeld) flush();
    if (length > kHeld) {
      for (uint32_t i = 0; i < length; i++) add(run[i], 1);
      return;
    }
    uint8_t* to = bytes_ + held_;
    if (length <= 32 && end - run >= 32) {
      // More than the run, in two moves of one size: what is too much is written over by the next run.
      std::memcpy(to, run, 32);
    } else {
      std::memcpy(to, run, length);
    }
    held_ += length;
  }

  void sort() {
    flush();
    Direct::sort();
  }

  template <typename F>
  void drain(F&& f) {
    flush();
    Direct::drain(f);
  }

 private:
  static constexpr uint32_t kHeld = 4096;

  void flush() {
    if (held_ == 0) return;
    const uint8_t common = bytes_[held_ / 2];
    const __m128i sought = _mm_set1_epi8(static_cast<char>(common));
    uint32_t others = 0;
    for (uint32_t i = 0; i < held_; i += 16) {
      const __m128i block = _mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes_ + i));
      uint32_t other = ~static_cast<uint32_t>(_mm_movemask_epi8(_mm_cmpeq_epi8(block, sought))) & 0xffff;
      if (held_ - i < 16) other &= (1u << (held_ - i)) - 1;
      for (; other != 0; other &= other - 1) {
        add(bytes_[i + static_cast<uint32_t>(__builtin_ctz(other))], 1);
        others++;
      }
    }
    add(common, held_ - others);
    held_ = 0;
  }

  uint8_t bytes_[kHeld + 32] = {};
  uint32_t held_ = 0;
};
#else
template <>
class Histogram<uint8_t> : public Direct<uint8_t> {
  using Direct::Direct;
};
#endif
template <>
class Histogram<int8_t> : public Direct<int8_t> {
  using Direct::Direct;
};
template <>
class Histogram<uint16_t> : public Direct<uint16_t> {
  using Direct::Direct;
};
template <>
class Histogram<int16_t> : public Direct<int16_t> {
  using Direct::Direct;
};
template <typename T>
class Histogram : public Hashed<T> {
  using Hashed<T>::Hashed;
};

// Pixels of one run. Most runs of a field hold one class from end to end, which comparing the run with
// itself shifted by one pixel tells faster than counting does.
template <typename T>
inline void add_run(Histogram<T>& histogram, const T* run, uint32_t length, const T*) {
  if (std::memcmp(run, run + 1, (length - 1) * sizeof(T)) == 0) {
    histogram.add(run[0], length);
    return;
  }
  for (uint32_t i = 0; i < length; i++) histogram.add(run[i], 1);
}

#ifdef __SSE2__
inline void add_run(Histogram<uint8_t>& histogram, const uint8_t* run, uint32_t length, const uint8_t* end) {
  histogram.add_run(run, length, end);
}
#endif

}  // namespace

template <typename T>
bool count_segment(const T* pixels, uint32_t stride, uint32_t height, const Segment& segment, const double* skip,
                   size_t skips, bool clip, bool histograms, Complete& complete, Partial& partial) {
  constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
  Histogram<T> histogram(skip, skips);
  const T* const pixels_end = pixels + static_cast<size_t>(stride) * height;
  const uint32_t* run = segment.run;
  const uint32_t* const runs_end = segment.run + segment.runs;
  for (uint32_t entry = 0; entry < segment.entries; entry++) {
    const uint32_t runs = segment.shape[entry] >> 16;
    const uint32_t parts = segment.shape[entry] & 0xffff;
    uint32_t covered = 0;
    if (runs > static_cast<size_t>(runs_end - run)) return false;
    for (const uint32_t* const stop = run + runs; run < stop; run++) {
      // Every run lies in another row, so in another page of memory: asked for long before it is needed.
      if (run + kAhead < runs_end) {
        // It may lie outside the window, where asking does no harm but a pointer must not point: as a number.
        const uint64_t row = static_cast<uint64_t>(segment.row) + (run[kAhead] >> 22);
        const uint64_t col = static_cast<uint64_t>(segment.col) + ((run[kAhead] >> 11) & 2047);
        const uint64_t at = reinterpret_cast<uintptr_t>(pixels) + (row * stride + col) * sizeof(T);
        __builtin_prefetch(reinterpret_cast<const void*>(static_cast<uintptr_t>(at)));
      }
      const int64_t row = int64_t{segment.row} + (*run >> 22);
      int64_t col = int64_t{segment.col} + ((*run >> 11) & 2047);
      int64_t end = col + (*run & 2047) + 1;
      if (row < 0 || row >= height || col < 0 || end > stride) {
        if (!clip) return false;
        col = std::max<int64_t>(col, 0);
        end = std::min<int64_t>(end, stride);
        if (row < 0 || row >= height || col >= end) continue;
      }
      covered += static_cast<uint32_t>(end - col);
      add_run(histogram, pixels + row * stride + col, static_cast<uint32_t>(end - col), pixels_end);
    }
    if (parts == 1 && !histograms) {
      // Most pixels win; a tie goes to the lowest class, as numpy's bincount().argmax() has it.
      double code = kNone, second = kNone;
      uint32_t n = 0, m = 0, valid = 0;
      histogram.drain([&](double c, uint32_t count) {
        valid += count;
        if (count > n || (count == n && c < code)) {
          second = code;
          m = n;
          code = c;
          n = count;
        } else if (count > m || (count == m && c < second)) {
          second = c;
          m = count;
        }
      });
      complete.field.push_back(segment.field[entry]);
      complete.pixels.push_back(n);
      complete.valid.push_back(valid);
      complete.covered.push_back(covered);
      complete.second_pixels.push_back(m);
      complete.code.push_back(code);
      complete.second.push_back(second);
    } else {
      histogram.sort();
      histogram.drain([&](double c, uint32_t count) {
        partial.code.push_back(c);
        partial.pixels.push_back(count);
      });
      partial.field.push_back(segment.field[entry]);
      partial.parts.push_back(parts);
      partial.covered.push_back(covered);
      partial.end.push_back(static_cast<uint32_t>(partial.code.size()));
    }
  }
  return run == runs_end;
}

#define FIELDS_COUNT(T)                                                                                           \
  template bool count_segment<T>(const T*, uint32_t, uint32_t, const Segment&, const double*, size_t, bool, bool, \
                                 Complete&, Partial&);
FIELDS_COUNT(uint8_t)
FIELDS_COUNT(int8_t)
FIELDS_COUNT(uint16_t)
FIELDS_COUNT(int16_t)
FIELDS_COUNT(uint32_t)
FIELDS_COUNT(int32_t)
FIELDS_COUNT(float)
FIELDS_COUNT(double)
#undef FIELDS_COUNT

}  // namespace fields
