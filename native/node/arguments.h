// Check the type and range of each argument from JavaScript before a kernel uses it. An invalid one is a TypeError
// that names it.
#pragma once
#include <napi.h>

#include <cmath>
#include <string>
#include <vector>

namespace fields {

[[noreturn]] inline void fail(Napi::Env env, const std::string& message) { throw Napi::TypeError::New(env, message); }

inline Napi::Object object_of(Napi::Value value, const char* name) {
  if (!value.IsObject()) fail(value.Env(), std::string(name) + ": an object was expected");
  return value.As<Napi::Object>();
}

template <typename Array>
struct ArrayType;
template <>
struct ArrayType<Napi::Uint8Array> {
  static constexpr napi_typedarray_type type = napi_uint8_array;
  static constexpr const char* name = "Uint8Array";
};
template <>
struct ArrayType<Napi::Uint16Array> {
  static constexpr napi_typedarray_type type = napi_uint16_array;
  static constexpr const char* name = "Uint16Array";
};
template <>
struct ArrayType<Napi::Uint32Array> {
  static constexpr napi_typedarray_type type = napi_uint32_array;
  static constexpr const char* name = "Uint32Array";
};
template <>
struct ArrayType<Napi::Int32Array> {
  static constexpr napi_typedarray_type type = napi_int32_array;
  static constexpr const char* name = "Int32Array";
};
template <>
struct ArrayType<Napi::Float64Array> {
  static constexpr napi_typedarray_type type = napi_float64_array;
  static constexpr const char* name = "Float64Array";
};

template <typename Array>
Array array_of(Napi::Value value, const char* name) {
  if (!value.IsTypedArray() || value.As<Napi::TypedArray>().TypedArrayType() != ArrayType<Array>::type) {
    fail(value.Env(), std::string(name) + ": " + ArrayType<Array>::name + " was expected");
  }
  return value.As<Array>();
}

// A typed array of any type.
inline Napi::TypedArray any_array_of(Napi::Value value, const char* name) {
  if (!value.IsTypedArray()) fail(value.Env(), std::string(name) + ": an array of another type was expected");
  return value.As<Napi::TypedArray>();
}

inline Napi::Array list_of(Napi::Value value, const char* name) {
  if (!value.IsArray()) fail(value.Env(), std::string(name) + ": an array was expected");
  return value.As<Napi::Array>();
}

inline std::string text_of(Napi::Value value, const char* name) {
  if (!value.IsString()) fail(value.Env(), std::string(name) + ": a text was expected");
  return value.As<Napi::String>().Utf8Value();
}

inline std::vector<std::string> texts_of(Napi::Value value, const char* name) {
  const auto list = list_of(value, name);
  std::vector<std::string> texts;
  for (uint32_t i = 0; i < list.Length(); i++) texts.push_back(text_of(list.Get(i), name));
  return texts;
}

// Elements of a typed array. Not through its ArrayBuffer, because that call rejects shared memory.
template <typename T>
T* elements_of(const Napi::TypedArray& array) {
  void* data = nullptr;
  napi_get_typedarray_info(array.Env(), array, nullptr, nullptr, &data, nullptr, nullptr);
  return static_cast<T*>(data);
}

// Call a function with the elements of an array, by their type.
template <typename F>
auto with_classes(const Napi::TypedArray& array, const char* name, F&& function) {
  void* const data = elements_of<void>(array);
  switch (array.TypedArrayType()) {
    case napi_uint8_array:
    case napi_uint8_clamped_array: return function(static_cast<const uint8_t*>(data));
    case napi_int8_array: return function(static_cast<const int8_t*>(data));
    case napi_uint16_array: return function(static_cast<const uint16_t*>(data));
    case napi_int16_array: return function(static_cast<const int16_t*>(data));
    case napi_uint32_array: return function(static_cast<const uint32_t*>(data));
    case napi_int32_array: return function(static_cast<const int32_t*>(data));
    case napi_float32_array: return function(static_cast<const float*>(data));
    case napi_float64_array: return function(static_cast<const double*>(data));
    default: fail(array.Env(), std::string(name) + ": an array of another type was expected");
  }
}

inline double number_of(Napi::Value value, const char* name) {
  const double number = value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : NAN;
  if (!std::isfinite(number)) fail(value.Env(), std::string(name) + ": a finite number was expected");
  return number;
}

inline uint64_t integer_of(Napi::Value value, const char* name, uint64_t min, uint64_t max) {
  const double number = value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : NAN;
  if (!(number >= static_cast<double>(min) && number <= static_cast<double>(max)) || number != std::floor(number)) {
    fail(value.Env(),
         std::string(name) + ": an integer of " + std::to_string(min) + " to " + std::to_string(max) + " was expected");
  }
  return static_cast<uint64_t>(number);
}

// Offsets of a column's n rows: n + 1, ascending, at most `length`.
inline void check_offsets(const Napi::Int32Array& offsets, size_t length, const char* name) {
  int32_t before = 0;
  for (size_t i = 0; i < offsets.ElementLength(); i++) {
    if (offsets[i] < before || static_cast<size_t>(offsets[i]) > length) {
      fail(offsets.Env(), std::string(name) + ": not ascending within values");
    }
    before = offsets[i];
  }
}

}  // namespace fields
