#include "nn/bfloat16_emulation.h"

#include <ATen/core/dispatch/Dispatcher.h>

namespace afa::nn {

namespace {

// What libtorch itself asks before it lets oneDNN multiply bfloat16. Without oneDNN (macOS on ARM) nothing is known to be
// faster than its own operations.
bool hasBfloat16Products() {
  static const bool has = [] {
    const auto asked = c10::Dispatcher::singleton().findSchema({"mkldnn::_is_mkldnn_bf16_supported", ""});
    return !at::hasMKLDNN() || !asked || asked->typed<bool()>().call();
  }();
  return has;
}

}  // namespace

bool emulatesBfloat16(const at::Tensor& x) {
  if (!x.is_cpu() || (x.scalar_type() != at::kFloat && x.scalar_type() != at::kBFloat16)) return false;
  return at::autocast::is_autocast_enabled(at::kCPU) && at::autocast::get_autocast_dtype(at::kCPU) == at::kBFloat16 &&
         !hasBfloat16Products();
}

}  // namespace afa::nn
