// The module. Only the files of this folder use N-API: they check arguments, call the kernels, and return arrays.
// Nothing is kept between calls, because one copy of the module serves all threads.
#include "node/addon.h"

namespace {

Napi::Object init(Napi::Env env, Napi::Object exports) {
  fields::export_geometry(env, exports);
  fields::export_parquet(env, exports);
  fields::export_raster(env, exports);
  fields::export_zonal(env, exports);
  fields::export_tiles(env, exports);
  fields::export_tiler(env, exports);
  return exports;
}

}  // namespace

NODE_API_MODULE(fields, init)
