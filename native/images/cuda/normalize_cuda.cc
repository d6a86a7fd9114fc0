#ifdef AFA_CUDA
#include "images/cuda/normalize_cuda.h"

#include <c10/cuda/CUDAGuard.h>

#include <map>
#include <mutex>

#include "cuda_launch.h"
#include "images/cuda/normalize_launch.h"
#include "tensor/transfer.h"

namespace afa::images::cuda {

namespace {

constexpr int64_t kEntries = 3 * kByteValues;

// Copied once to each device and kept. Never freed, since static destructors run after CUDA's own.
at::Tensor tableOn(at::Device device, const float* table) {
  struct Kept {
    std::vector<float> values;
    at::Tensor onDevice;
  };
  static auto& all = *new std::map<c10::DeviceIndex, Kept>();
  static std::mutex mutex;
  std::lock_guard lock(mutex);
  auto& kept = all[device.index()];
  const std::vector<float> values(table, table + kEntries);
  if (kept.values != values) kept = {values, at::tensor(values).to(device)};
  return kept.onDevice;
}

}  // namespace

at::Tensor normalizeBytes(const ByteBatch& batch, const float* table, at::Device device) {
  TORCH_CHECK(batch.height * batch.width <= kMostPixels, "Expected images of at most ", kMostPixels,
              " pixels but received ", batch.height, " x ", batch.width);
  const c10::cuda::CUDAGuard guard(device);
  const at::Device here = guard.current_device();
  // Pixels and flags in one copy.
  const int64_t bytes = batch.count * batch.height * batch.width * batch.channels;
  auto host = hostTensor({bytes + batch.count}, at::kByte, here);
  auto* own = host.mutable_data_ptr<uint8_t>();
  std::memcpy(own, batch.data, bytes);
  std::memcpy(own + bytes, batch.mirrored, batch.count);
  const auto arrived = upload(host, here);
  const auto* data = arrived.const_data_ptr<uint8_t>();
  const ByteImages images{data, data + bytes, static_cast<int>(batch.height), static_cast<int>(batch.width),
                          static_cast<int>(batch.channels)};
  auto out = at::empty({batch.count, 3, batch.height, batch.width}, at::TensorOptions().dtype(at::kFloat).device(here));
  check(afaNormalizeBytes(images, static_cast<int>(batch.count), tableOn(here, table).const_data_ptr<float>(),
                          out.mutable_data_ptr<float>(), stream()));
  return out;
}

}  // namespace afa::images::cuda
#endif
