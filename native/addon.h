// What the glue files share.
#pragma once
#include <napi.h>

#include <cstring>
#include <vector>

#include "arguments.h"

namespace fields {

template <typename Array, typename T>
Array copy_of(Napi::Env env, const std::vector<T>& from) {
  Array array = Array::New(env, from.size());
  if (!from.empty()) std::memcpy(array.Data(), from.data(), from.size() * sizeof(T));
  return array;
}

// Adds encodeIds and encodeRows.
void export_table(Napi::Env env, Napi::Object exports);

}  // namespace fields
