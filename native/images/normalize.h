// Batches travel as bytes; where the network runs they become its input.
#pragma once
#include "binding.h"

namespace afa::images {

// uint8 images [B, H, W, C], interleaved, C 1 (grey) or 3, on the host.
struct ByteBatch {
  const uint8_t* data;
  const uint8_t* mirrored;  // [B] of 0 and 1: shown mirrored left to right
  int64_t count, height, width, channels;
};

// table [3, 256]: what a byte becomes in each channel. Gives float32 [B, 3, H, W] on `device`: on CUDA by a kernel, from
// bytes that went there; elsewhere computed here and then sent.
at::Tensor normalizeBytes(const ByteBatch& batch, const float* table, at::Device device);

}  // namespace afa::images

namespace afa {
void registerNormalization(Exports& m);
}
