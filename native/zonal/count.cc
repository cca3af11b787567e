#include "zonal/count.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>

#include "zonal/tally.h"

namespace fields {
namespace {

constexpr uint32_t kChunkRows = 512;
// Prefetch distance, in runs.
constexpr int kAhead = 24;

// Histogram of one field; only the touched entries are cleared.
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

  // Call f(class, pixels) for each counted class and clear the histogram.
  template <typename F>
  void drain(uint32_t, F&& f) {
    for (const T code : touched_) {
      uint32_t& count = counts_[index(code)];
      if (skip_[index(code)] == 0) f(static_cast<double>(code), count);
      count = 0;
    }
    touched_.clear();
  }

  template <typename F>
  void drain_sorted(uint32_t held, F&& f) {
    std::sort(touched_.begin(), touched_.end());
    drain(held, f);
  }

 protected:
  bool skips(T code) const { return skip_[index(code)] != 0; }

 private:
  static size_t index(T code) { return static_cast<typename std::make_unsigned<T>::type>(code); }
  std::vector<uint32_t> counts_;
  std::vector<uint8_t> skip_;
  std::vector<T> touched_;
};

// Wider classes: a hash table with open addressing for the few classes of a field.
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

  template <typename F>
  void drain_sorted(uint32_t held, F&& f) {
    std::sort(touched_.begin(), touched_.end(),
              [this](uint32_t a, uint32_t b) { return slots_[a].code < slots_[b].code; });
    drain(held, f);
  }

  template <typename F>
  void drain(uint32_t, F&& f) {
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

// Bytes, the usual case: a field's pixels are gathered first, then counted together. Gathering does not branch on the
// pixels, so the processor fetches many rows at once; counting directly would wait for each.
template <>
class Histogram<uint8_t> : public Direct<uint8_t> {
 public:
  using Direct::Direct;

  // `end`: end of the window's memory. The number of held bytes is an argument and the result: a member would be stored
  // and loaded for every run, because the compiler must assume that written bytes alias it.
  uint32_t add_run(const uint8_t* run, uint32_t length, const uint8_t* end, uint32_t held) {
    if (held + length > kMaxTally) held = spill(held);
    uint8_t* to = bytes_ + held;
    if (length <= kTallySlack && end - run >= kTallySlack) {
      // Copy in moves of a fixed size; the next run overwrites the excess.
      std::memcpy(to, run, kTallySlack);
    } else {
      std::memcpy(to, run, length);
    }
    return held + length;
  }

  // Short runs of a chunk that is entirely in the window, up to `stop`: with fewer checks, in half the time. Stops at a
  // run that is longer, exceeds `width`, or is at the window's end, and when the buffer is full.
  const uint32_t* add_short_runs(const uint8_t* corner, uint32_t stride, uint32_t width, const uint32_t* run,
                                 const uint32_t* stop, const uint8_t* end, uint32_t& held) {
    const uint8_t* const last = end - kTallySlack;
    uint8_t* to = bytes_ + held;
    stop = std::min(stop, run + (kMaxTally - held) / kTallySlack);
    for (; run < stop; run++) {
      const uint32_t col = *run >> 11 & 2047;
      const uint32_t length = (*run & 2047) + 1;
      const uint8_t* const from = corner + static_cast<size_t>(*run >> 22) * stride + col;
      if (static_cast<unsigned>(length > kTallySlack) | static_cast<unsigned>(col + length > width) |
          static_cast<unsigned>(from > last)) {
        break;
      }
      std::memcpy(to, from, kTallySlack);
      to += length;
    }
    held = static_cast<uint32_t>(to - bytes_);
    return run;
  }

  // Sort by class, because the order of appearance depends on the order of runs.
  template <typename F>
  void drain_sorted(uint32_t held, F&& f) {
    spill(held);
    Direct::drain_sorted(0, f);
    spilled_ = false;
  }

  template <typename F>
  void drain(uint32_t held, F&& f) {
    if (!spilled_) {
      const uint32_t found = held == 0 ? 0 : tally_(bytes_, held, classes_, counts_);
      for (uint32_t i = 0; i < found; i++) {
        if (!skips(classes_[i])) f(static_cast<double>(classes_[i]), counts_[i]);
      }
      return;
    }
    spill(held);
    Direct::drain(0, f);
    spilled_ = false;
  }

 private:
  // A field with many pixels: add to the table.
  uint32_t spill(uint32_t held) {
    spilled_ = true;
    const uint32_t found = held == 0 ? 0 : tally_(bytes_, held, classes_, counts_);
    for (uint32_t i = 0; i < found; i++) add(classes_[i], counts_[i]);
    return 0;
  }

  const Tally tally_ = choose_tally();
  uint8_t bytes_[kMaxTally + kTallySlack] = {};
  uint8_t classes_[256] = {};
  uint32_t counts_[256] = {};
  bool spilled_ = false;
};
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

// Pixels of one run. Most runs have a single class; comparing the run with itself shifted by one pixel finds that
// faster than counting.
template <typename T>
inline uint32_t add_run(Histogram<T>& histogram, const T* run, uint32_t length, const T*, uint32_t) {
  if (std::memcmp(run, run + 1, (length - 1) * sizeof(T)) == 0) {
    histogram.add(run[0], length);
  } else {
    for (uint32_t i = 0; i < length; i++) histogram.add(run[i], 1);
  }
  return 0;
}

inline uint32_t add_run(Histogram<uint8_t>& histogram, const uint8_t* run, uint32_t length, const uint8_t* end,
                        uint32_t held) {
  return histogram.add_run(run, length, end, held);
}

// The parts of a run that the mask keeps.
template <typename T>
uint32_t add_unmasked(Histogram<T>& histogram, const T* run, const uint8_t* mask, uint32_t length, const T* end,
                      uint32_t held) {
  for (uint32_t i = 0; i < length;) {
    if (mask[i] == 0) {
      i++;
      continue;
    }
    const uint32_t first = i;
    while (i < length && mask[i] != 0) i++;
    held = add_run(histogram, run + first, i - first, end, held);
  }
  return held;
}

// Most pixels win; ties go to the lowest class, as in numpy's bincount().argmax().
template <typename T>
class Majority {
 public:
  void add(double c, uint32_t count) {
    valid_ += count;
    if (count > n_ || (count == n_ && c < code_)) {
      second_ = code_;
      m_ = n_;
      code_ = c;
      n_ = count;
    } else if (count > m_ || (count == m_ && c < second_)) {
      second_ = c;
      m_ = count;
    }
  }

  void answer(const Answers<T>& answers, uint32_t row, uint32_t covered) const {
    answers.code[row] = static_cast<T>(code_);
    answers.second[row] = static_cast<T>(second_);
    answers.pixels[row] = n_;
    answers.second_pixels[row] = m_;
    answers.valid[row] = valid_;
    answers.covered[row] = covered;
  }

 private:
  double code_ = 0, second_ = 0;
  uint32_t n_ = 0, m_ = 0, valid_ = 0;
};

}  // namespace

// Position of a segment's runs in the window. Positions above or left of it wrap around to large numbers.
struct Place {
  uint32_t top, left, stride, height;

  // Clip a run to the window; false if it is outside.
  bool clip(uint32_t row, uint32_t& col, uint32_t& length) const {
    const int64_t from = static_cast<int32_t>(col);
    const int64_t begin = std::max<int64_t>(from, 0);
    const int64_t end = std::min<int64_t>(from + length, stride);
    if (row >= height || begin >= end) return false;
    col = static_cast<uint32_t>(begin);
    length = static_cast<uint32_t>(end - begin);
    return true;
  }
};

template <typename T>
bool count_segment(const T* pixels, const uint8_t* mask, uint32_t stride, uint32_t height, const Segment& segment,
                   const double* skip, size_t skips, bool clip, const Answers<T>* answers, Partial& partial) {
  Histogram<T> histogram(skip, skips);
  const T* const pixels_end = pixels + static_cast<size_t>(stride) * height;
  const Place place{static_cast<uint32_t>(segment.row), static_cast<uint32_t>(segment.col), stride, height};
  // As an integer, because it may be outside the window: prefetching is harmless there, but a pointer would be invalid.
  const uintptr_t corner = reinterpret_cast<uintptr_t>(pixels) +
                           static_cast<uintptr_t>(int64_t{segment.row} * stride + segment.col) * sizeof(T);
  // All rows of the chunk are in the window, and a short run at its left edge may be read.
  const bool inside = segment.row >= 0 && segment.col >= 0 && place.top + kChunkRows <= height && place.left < stride &&
                      stride * size_t{height} >= kTallySlack && mask == nullptr;
  const uint32_t* run = segment.run;
  const uint32_t* const runs_end = segment.run + segment.runs;
  for (uint32_t entry = 0; entry < segment.entries; entry++) {
    const uint32_t field = segment.field[entry];
    const uint32_t runs = segment.shape[entry] >> 16;
    const uint32_t parts = segment.shape[entry] & 0xffff;
    uint32_t covered = 0, held = 0;
    if (runs > static_cast<size_t>(runs_end - run)) return false;
    for (const uint32_t* const stop = run + runs; run < stop; run++) {
      if constexpr (std::is_same<T, uint8_t>::value) {
        if (inside) {
          const uint32_t before = held;
          run = histogram.add_short_runs(pixels + static_cast<size_t>(place.top) * stride + place.left, stride,
                                         stride - place.left, run, stop, pixels_end, held);
          covered += held - before;
          if (run == stop) break;
        }
      }
      // Each run is in another row, so in another page of memory: prefetch early.
      const uint32_t ahead = runs_end - run > kAhead ? run[kAhead] : 0;
      __builtin_prefetch(
          reinterpret_cast<const void*>(corner + (uintptr_t{ahead >> 22} * stride + (ahead >> 11 & 2047)) * sizeof(T)));
      const uint32_t row = place.top + (*run >> 22);
      uint32_t col = place.left + (*run >> 11 & 2047);
      uint32_t length = (*run & 2047) + 1;
      if (static_cast<unsigned>(row >= height) | static_cast<unsigned>(col >= stride) |
          static_cast<unsigned>(length > stride - col)) {
        if (!clip) return false;
        if (!place.clip(row, col, length)) continue;
      }
      covered += length;
      const size_t at = static_cast<size_t>(row) * stride + col;
      if (mask == nullptr) {
        held = add_run(histogram, pixels + at, length, pixels_end, held);
      } else {
        held = add_unmasked(histogram, pixels + at, mask + at, length, pixels_end, held);
      }
    }
    if (parts == 1 && answers != nullptr) {
      if (field >= answers->rows) return false;
      Majority<T> majority;
      histogram.drain(held, [&](double c, uint32_t count) { majority.add(c, count); });
      majority.answer(*answers, field, covered);
    } else {
      histogram.drain_sorted(held, [&](double c, uint32_t count) {
        partial.code.push_back(c);
        partial.pixels.push_back(count);
      });
      partial.field.push_back(field);
      partial.parts.push_back(parts);
      partial.covered.push_back(covered);
      partial.end.push_back(static_cast<uint32_t>(partial.code.size()));
    }
  }
  return run == runs_end;
}

template <typename T>
bool merge_partial(const std::vector<PartialView>& lists, const Answers<T>& answers, bool last, Partial& open) {
  // By field, then in order of arrival.
  struct Place {
    uint32_t field, list, entry;
  };
  std::vector<Place> order;
  for (uint32_t list = 0; list < lists.size(); list++) {
    for (uint32_t entry = 0; entry < lists[list].entries; entry++) {
      order.push_back({lists[list].field[entry], list, entry});
    }
  }
  std::stable_sort(order.begin(), order.end(), [](const Place& a, const Place& b) { return a.field < b.field; });
  const auto begin_of = [&](const Place& place) {
    return place.entry == 0 ? 0 : lists[place.list].end[place.entry - 1];
  };
  std::vector<std::pair<double, uint32_t>> pairs;
  for (size_t at = 0, next = 0; at < order.size(); at = next) {
    const uint32_t field = order[at].field;
    if (field >= answers.rows) return false;
    while (next < order.size() && order[next].field == field) next++;
    const bool complete = last || next - at >= lists[order[at].list].parts[order[at].entry];
    uint32_t covered = 0;
    pairs.clear();
    for (size_t i = at; i < next; i++) {
      const PartialView& list = lists[order[i].list];
      const uint32_t entry = order[i].entry;
      if (complete) covered += list.covered[entry];
      for (uint32_t k = begin_of(order[i]); k < list.end[entry]; k++) {
        if (complete) {
          pairs.push_back({list.code[k], list.pixels[k]});
        } else {
          open.code.push_back(list.code[k]);
          open.pixels.push_back(list.pixels[k]);
        }
      }
      if (complete) continue;
      open.field.push_back(field);
      open.parts.push_back(list.parts[entry]);
      open.covered.push_back(list.covered[entry]);
      open.end.push_back(static_cast<uint32_t>(open.code.size()));
    }
    if (!complete) continue;
    std::sort(pairs.begin(), pairs.end());
    Majority<T> majority;
    for (size_t i = 0; i < pairs.size();) {
      uint32_t count = 0;
      const double code = pairs[i].first;
      for (; i < pairs.size() && pairs[i].first == code; i++) count += pairs[i].second;
      majority.add(code, count);
    }
    majority.answer(answers, field, covered);
  }
  return true;
}

#define FIELDS_COUNT(T)                                                                                               \
  template bool count_segment<T>(const T*, const uint8_t*, uint32_t, uint32_t, const Segment&, const double*, size_t, \
                                 bool, const Answers<T>*, Partial&);                                                  \
  template bool merge_partial<T>(const std::vector<PartialView>&, const Answers<T>&, bool, Partial&);
FIELDS_PIXEL_TYPES(FIELDS_COUNT)
#undef FIELDS_COUNT

}  // namespace fields
