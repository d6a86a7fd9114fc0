// Bytes of images as the network's input (see images/normalize.h), for one thread of the kernel.
#pragma once
#include <cstdint>

#include "cam/cuda/host_device.h"

namespace afa::images::cuda {

constexpr int kByteValues = 256;
constexpr int kMostPixels = 1 << 30;  // of an image: an int counts them, and the threads beyond the last

// Images [B, height, width, channels], interleaved; channels 1 (grey) or 3. mirrored [B] of 0 and 1.
struct ByteImages {
  const uint8_t* data;
  const uint8_t* mirrored;
  int height, width, channels;
  AFA_HD int pixels() const { return height * width; }
};

// Writes one pixel, counted row by row, to the three planes of out [B, 3, height, width]: neighbours write neighbours.
// table [3, 256]: what each byte becomes in each channel.
AFA_HD void normalizePixel(const ByteImages& images, const float* table, float* out, int image, int pixel) {
  const int x = pixel % images.width;
  const int from = images.mirrored[image] ? pixel - x + images.width - 1 - x : pixel;
  const uint8_t* bytes = images.data + (static_cast<int64_t>(image) * images.pixels() + from) * images.channels;
  float* plane = out + static_cast<int64_t>(image) * 3 * images.pixels() + pixel;
  AFA_UNROLL(3)
  for (int c = 0; c < 3; ++c)
    plane[static_cast<int64_t>(c) * images.pixels()] = table[c * kByteValues + bytes[images.channels == 1 ? 0 : c]];
}

}  // namespace afa::images::cuda
