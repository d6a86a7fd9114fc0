// Mixed precision for a block of code, by libtorch's own autocast: products and convolutions in bfloat16, what needs
// range or digits in float32.
#pragma once
#include <ATen/autocast_mode.h>

namespace afa::nn {

// On from construction to the end of the block, on this thread; nested blocks share the casts of weights, which the
// outermost one frees. With `enabled` false it is off within the block, whatever is around it.
class Autocast {
 public:
  Autocast(at::Device device, bool enabled)
      : device_(device.type()),
        wasEnabled_(at::autocast::is_autocast_enabled(device_)),
        previous_(at::autocast::get_autocast_dtype(device_)) {
    at::autocast::set_autocast_enabled(device_, enabled);
    if (enabled) at::autocast::set_autocast_dtype(device_, at::kBFloat16);
    at::autocast::increment_nesting();
  }

  ~Autocast() {
    // Casts made without gradients must not serve a later block that needs them.
    if (at::autocast::decrement_nesting() == 0) at::autocast::clear_cache();
    at::autocast::set_autocast_dtype(device_, previous_);
    at::autocast::set_autocast_enabled(device_, wasEnabled_);
  }

  Autocast(const Autocast&) = delete;
  Autocast& operator=(const Autocast&) = delete;

 private:
  at::DeviceType device_;
  bool wasEnabled_;
  at::ScalarType previous_;
};

}  // namespace afa::nn
