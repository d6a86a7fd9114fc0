#include "tensor/transfer.h"

#ifdef AFA_CUDA_RUNTIME
#include <ATen/cuda/CUDAEvent.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

#include <map>
#include <mutex>
#endif

namespace afa {

#ifdef AFA_CUDA_RUNTIME
namespace {

// One for each direction, kept: copies of a kind follow each other, and a pool's streams are shared among askers.
c10::cuda::CUDAStream copyStream(at::Device device, bool up) {
  static std::map<std::pair<int, bool>, c10::cuda::CUDAStream> streams;
  static std::mutex mutex;
  std::lock_guard lock(mutex);
  const auto index = c10::cuda::CUDAGuard(device).current_device().index();
  auto found = streams.find({index, up});
  if (found == streams.end())
    found = streams.emplace(std::pair{int{index}, up}, c10::cuda::getStreamFromPool(/*isHighPriority=*/false, index)).first;
  return found->second;
}

}  // namespace
#endif

HostBytes FromJs<HostBytes>::get(const Arg& arg) {
  if (!arg.value.IsTypedArray()) refuse(arg, "a typed array");
  // Asked for by data alone: the buffer of an array over shared memory is no ArrayBuffer.
  void* data = nullptr;
  napi_get_typedarray_info(arg.env, arg.value, nullptr, nullptr, &data, nullptr, nullptr);
  return {data, arg.value.As<Napi::TypedArray>().ByteLength()};
}

at::Tensor hostTensor(at::IntArrayRef shape, at::ScalarType dtype, at::Device device) {
  return at::empty(shape, at::TensorOptions().dtype(dtype).pinned_memory(device.is_cuda()));
}

at::Tensor upload(const at::Tensor& host, at::Device device) {
  if (device.is_cpu()) return host;
#ifdef AFA_CUDA_RUNTIME
  if (device.is_cuda()) {
    const auto computing = c10::cuda::getCurrentCUDAStream(device.index());
    const auto copying = copyStream(device, /*up=*/true);
    at::Tensor out;
    at::cuda::CUDAEvent arrived;
    {
      // Allocated on the copying stream, so that it cannot be memory which computing still uses.
      const c10::cuda::CUDAStreamGuard guard(copying);
      out = host.to(device, /*non_blocking=*/true);
      arrived.record(copying);
    }
    arrived.block(computing);
    c10::cuda::CUDACachingAllocator::recordStream(out.storage().data_ptr(), computing);
    return out;
  }
#endif
  return host.to(device);
}

Download::Download(const at::Tensor& source) {
#ifdef AFA_CUDA_RUNTIME
  if (source.is_cuda()) {
    const auto computing = c10::cuda::getCurrentCUDAStream(source.device().index());
    const auto copying = copyStream(source.device(), /*up=*/false);
    at::cuda::CUDAEvent made;
    made.record(computing);
    made.block(copying);
    const c10::cuda::CUDAStreamGuard guard(copying);
    const auto values = source.detach().contiguous();
    host_ = at::empty(values.sizes(), values.options().device(at::kCPU).pinned_memory(true));
    host_.copy_(values, /*non_blocking=*/true);
    c10::cuda::CUDACachingAllocator::recordStream(source.storage().data_ptr(), copying);
    // take() sleeps: a thread that spins for the length of a step would take a core from the loader's workers.
    auto arrived = std::make_shared<at::cuda::CUDAEvent>(cudaEventDisableTiming | cudaEventBlockingSync);
    arrived->record(copying);
    arrived_ = arrived;
    return;
  }
#endif
  host_ = source.detach().to(at::kCPU).contiguous();
}

at::Tensor Download::take() const {
#ifdef AFA_CUDA_RUNTIME
  if (arrived_) static_cast<at::cuda::CUDAEvent*>(arrived_.get())->synchronize();
#endif
  return host_;
}

namespace {

// Most bytes that tensors took on the current GPU since the last reset, and that were held for them.
Napi::Value gpuMemory(Napi::Env env, bool reset) {
  auto out = Napi::Object::New(env);
#ifdef AFA_CUDA_RUNTIME
  if (at::hasCUDA() && c10::cuda::CUDACachingAllocator::get()->initialized()) {
    const auto device = c10::cuda::current_device();
    const auto stats = c10::cuda::CUDACachingAllocator::getDeviceStats(device);
    constexpr auto all = static_cast<size_t>(c10::CachingAllocator::StatType::AGGREGATE);
    out.Set("allocatedPeak", static_cast<double>(stats.allocated_bytes[all].peak));
    out.Set("reservedPeak", static_cast<double>(stats.reserved_bytes[all].peak));
    if (reset) c10::cuda::CUDACachingAllocator::resetPeakStats(device);
  }
#endif
  return out;
}

}  // namespace

void registerTransfer(Exports& m) {
  m.def("gpuMemory", {"reset"}, gpuMemory);
  m.def("download", {"self"}, +[](at::Tensor self) { return std::make_shared<Download>(self); });
  m.def("downloadTake", {"download"}, +[](std::shared_ptr<Download> download) { return download->take(); });
}

}  // namespace afa
