// Tensors from JavaScript's typed arrays and back, and from sizes.
#include "registration.h"
#include "tensor/transfer.h"

namespace afa {

namespace {

at::Tensor fromTypedArray(HostBytes bytes, std::vector<int64_t> shape, at::ScalarType dtype,
                          std::optional<at::Device> device) {
  const auto target = device.value_or(at::kCPU);
  auto out = hostTensor(shape, dtype, target);
  if (out.nbytes() != bytes.length)
    invalidArgument("Expected " + std::to_string(out.nbytes()) + " bytes of data for this shape and dtype but received " +
                    std::to_string(bytes.length));
  std::memcpy(out.mutable_data_ptr(), bytes.data, bytes.length);
  return upload(out, target);
}

// The elements, row-major, as a fresh ArrayBuffer: never a window on memory that dispose() may free.
Napi::Value toArrayBuffer(Napi::Env env, at::Tensor self) {
  ++AddonData::of(env).hostReads;
  auto host = self.detach().to(at::kCPU).contiguous();
  auto bytes = Napi::Buffer<uint8_t>::New(env, host.nbytes());  // unlike an ArrayBuffer's, not cleared before
  std::memcpy(bytes.Data(), host.const_data_ptr(), host.nbytes());
  return bytes.ArrayBuffer();
}

double item(Napi::Env env, at::Tensor self) {
  ++AddonData::of(env).hostReads;
  if (self.numel() != 1)
    invalidArgument("item() needs a tensor of one element but this one has " + std::to_string(self.numel()));
  return self.item().toDouble();
}

}  // namespace

void registerCreation(Exports& m) {
  m.def("fromTypedArray", {"data", "shape", "dtype", "device"}, fromTypedArray);
  m.def("toArrayBuffer", {"self"}, toArrayBuffer);
  m.def("item", {"self"}, item);
  m.def("full", {"shape", "value", "dtype", "device"},
        +[](std::vector<int64_t> shape, double value, at::ScalarType dtype, at::Device device) {
          return at::full(shape, value, at::TensorOptions().dtype(dtype).device(device));
        });
  m.def("arange", {"start", "end", "step", "dtype"},
        +[](double start, double end, double step, at::ScalarType dtype) {
          return at::arange(start, end, step, at::TensorOptions().dtype(dtype));
        });
  m.def("rand", {"shape", "dtype"}, +[](std::vector<int64_t> shape, at::ScalarType dtype) {
    return at::rand(shape, at::TensorOptions().dtype(dtype));
  });
  m.def("randn", {"shape", "dtype"}, +[](std::vector<int64_t> shape, at::ScalarType dtype) {
    return at::randn(shape, at::TensorOptions().dtype(dtype));
  });
  m.def("to", {"self", "dtype", "device"},
        +[](at::Tensor self, std::optional<at::ScalarType> dtype, std::optional<at::Device> device) {
          auto options = self.options();
          if (dtype) options = options.dtype(*dtype);
          if (device) options = options.device(*device);
          // Never waits on the way to a GPU: what is not pinned is copied aside first. On the way back it must.
          return self.to(options, /*non_blocking=*/self.is_cpu() && options.device().is_cuda());
        });

  m.def("shape", {"self"}, +[](at::Tensor self) { return self.sizes().vec(); });
  m.def("dtype", {"self"}, +[](at::Tensor self) { return codeFromDtype(self.scalar_type()); });
  m.def("device", {"self"}, +[](at::Tensor self) { return self.device().str(); });
  m.def("isDisposed", {"self"}, +[](TensorBox* box) { return !box->tensor.defined(); });
  m.def("disposedHandle", {}, wrapNoTensor);
  m.def("reportMemory", {"self"}, +[](Napi::Env env, TensorBox* box) { reportMemory(env, *box); });
  m.def("dispose", {"self"}, +[](Napi::Env env, TensorBox* box) { disposeTensor(env, *box); });
}

}  // namespace afa
