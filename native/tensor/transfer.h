// Copies between host and GPU that neither side waits for: pinned memory, on a stream beside the one that computes.
// On the CPU they are what they look like.
#pragma once
#include "binding.h"

namespace afa {

// A typed array's memory, for as long as the call takes.
struct HostBytes {
  const void* data;
  size_t length;
};

template <>
struct FromJs<HostBytes> {
  static HostBytes get(const Arg& arg);
};

// A copy on a GPU of a host tensor made for it (see hostTensor). Work queued from now on sees it.
at::Tensor upload(const at::Tensor& host, at::Device device);

// An uninitialised host tensor to fill for upload(): pinned where `device` is a GPU.
at::Tensor hostTensor(at::IntArrayRef shape, at::ScalarType dtype, at::Device device);

// A tensor's values as they are when all that is queued now is done, on their way to the host while later work runs.
class Download {
 public:
  explicit Download(const at::Tensor& source);
  // Waits for the copy alone, not for what was queued after it.
  at::Tensor take() const;

 private:
  at::Tensor host_;
  std::shared_ptr<void> arrived_;  // the event of a GPU's copy
};

template <>
struct BoxTraits<Download> {
  static constexpr auto kind = Box::Kind::Download;
  static constexpr const char* name = "a download";
};

void registerTransfer(Exports& m);

}  // namespace afa
