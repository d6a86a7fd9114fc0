#include "images/normalize.h"

#include <ATen/Parallel.h>

#include "images/cuda/normalize_cuda.h"
#include "tensor/transfer.h"

namespace afa {

namespace images {

namespace {

constexpr int64_t kValuesEach = 1 << 16;  // for one thread, at least

// A line's values of one channel, `step` bytes apart. A step that the compiler knows halves the time.
template <int step>
void lookUp(const uint8_t* from, const float* entries, float* to, int64_t count) {
  for (int64_t x = 0; x < count; ++x) to[x] = entries[from[x * step]];
}

// One line of an image, to its three planes.
void normalizeLine(const uint8_t* line, const ByteBatch& batch, bool mirrored, const float* table, float* out) {
  const bool grey = batch.channels == 1;
  const auto run = grey ? (mirrored ? lookUp<-1> : lookUp<1>) : (mirrored ? lookUp<-3> : lookUp<3>);
  const auto* first = mirrored ? line + (batch.width - 1) * batch.channels : line;
  for (int64_t c = 0; c < 3; ++c)
    run(grey ? first : first + c, table + c * 256, out + c * batch.height * batch.width, batch.width);
}

}  // namespace

at::Tensor normalizeBytes(const ByteBatch& batch, const float* table, at::Device device) {
#ifdef AFA_CUDA
  if (device.is_cuda()) return cuda::normalizeBytes(batch, table, device);
#endif
  auto out = hostTensor({batch.count, 3, batch.height, batch.width}, at::kFloat, device);
  auto* values = out.mutable_data_ptr<float>();
  // Threads share images, not lines: a single one takes less time than threads need to start, and Predictor, which computes on
  // a thread of its own, is not to have a second team of them.
  const int64_t plane = batch.height * batch.width;
  const int64_t grain = std::max<int64_t>(1, kValuesEach / (3 * plane));
  at::parallel_for(0, batch.count, grain, [&](int64_t begin, int64_t end) {
    for (int64_t image = begin; image < end; ++image) {
      for (int64_t y = 0; y < batch.height; ++y) {
        const auto* line = batch.data + (image * batch.height + y) * batch.width * batch.channels;
        normalizeLine(line, batch, batch.mirrored[image] != 0, table, values + image * 3 * plane + y * batch.width);
      }
    }
  });
  return upload(out, device);
}

}  // namespace images

namespace {

void expectLength(const HostBytes& array, int64_t length, const char* what) {
  if (array.length != static_cast<size_t>(length))
    invalidArgument("Expected " + std::to_string(length) + " bytes of " + what + " for this shape but received " +
                    std::to_string(array.length));
}

at::Tensor normalizeBytes(HostBytes data, std::vector<int64_t> shape, HostBytes mirrored, HostBytes table,
                          at::Device device) {
  const bool fits = shape.size() == 4 && (shape[3] == 1 || shape[3] == 3);
  if (!fits || std::any_of(shape.begin(), shape.end(), [](int64_t side) { return side < 1; }))
    invalidArgument("Expected [B, H, W, 1] or [B, H, W, 3] for argument 'shape' of normalizeBytes() but received " +
                    c10::str(at::IntArrayRef(shape)));
  expectLength(data, c10::multiply_integers(shape), "pixels");
  expectLength(mirrored, shape[0], "mirrored flags");
  expectLength(table, 3 * 256 * static_cast<int64_t>(sizeof(float)), "table");
  const images::ByteBatch batch{static_cast<const uint8_t*>(data.data), static_cast<const uint8_t*>(mirrored.data),
                                shape[0], shape[1], shape[2], shape[3]};
  return images::normalizeBytes(batch, static_cast<const float*>(table.data), device);
}

}  // namespace

void registerNormalization(Exports& m) {
  m.def("normalizeBytes", {"data", "shape", "mirrored", "table", "device"}, normalizeBytes);
}

}  // namespace afa
