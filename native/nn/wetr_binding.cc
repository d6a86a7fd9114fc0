// The model as JavaScript sees it; shapes and names are documented in src/models/wetr.ts.
#include "nn/wetr_binding.h"

namespace afa {

namespace {

using Model = std::shared_ptr<nn::WeTr>;

template <size_t N>
std::array<int64_t, N> fixed(const std::vector<int64_t>& values, const char* what) {
  if (values.size() != N)
    invalidArgument(std::string("Expected ") + std::to_string(N) + " numbers for " + what + " but received " +
                    std::to_string(values.size()));
  std::array<int64_t, N> out;
  std::copy(values.begin(), values.end(), out.begin());
  return out;
}

Model create(std::vector<int64_t> embedDims, std::vector<int64_t> depths, std::vector<int64_t> stride,
             double dropPath, int64_t numClasses, int64_t embeddingDim, bool maxPooling, double headDropout,
             bool bfloat16, bool cudaGraphs) {
  nn::WeTrConfig config;
  config.encoder = {fixed<4>(embedDims, "embedDims"), fixed<4>(depths, "depths"), fixed<4>(stride, "stride"), dropPath};
  config.numClasses = numClasses;
  config.embeddingDim = embeddingDim;
  config.maxPooling = maxPooling;
  config.headDropout = headDropout;
  config.bfloat16 = bfloat16;
  config.cudaGraphs = cudaGraphs;
  return std::make_shared<nn::WeTr>(config);
}

std::vector<std::string> names(const std::vector<nn::NamedTensor>& entries) {
  std::vector<std::string> out;
  for (const auto& entry : entries) out.push_back(entry.name);
  return out;
}

std::vector<at::Tensor> tensors(const std::vector<nn::NamedTensor>& entries) {
  std::vector<at::Tensor> out;
  for (const auto& entry : entries) out.push_back(entry.tensor);
  return out;
}

using Output = std::tuple<at::Tensor, at::Tensor, at::Tensor, at::Tensor, std::vector<at::Tensor>>;

Output forward(Model model, at::Tensor image, bool cls, bool seg, bool cam, bool affinity, bool attention,
               bool segDetach) {
  auto out = model->forward(image, {cls, seg, cam, affinity, attention, segDetach});
  return {out.cls, out.seg, out.cam, out.affinity, out.attention};
}

}  // namespace

void registerWeTr(Exports& m) {
  m.def("wetrCreate", {"embedDims", "depths", "stride", "dropPath", "numClasses", "embeddingDim", "maxPooling",
         "headDropout", "bfloat16", "cudaGraphs"},
        create);
  m.def("wetrParameterNames", {"model"}, +[](Model model) { return names(model->state().parameters()); });
  m.def("wetrParameters", {"model"}, +[](Model model) { return tensors(model->state().parameters()); });
  m.def("wetrStateNames", {"model"}, +[](Model model) { return names(model->state().all()); });
  m.def("wetrState", {"model"}, +[](Model model) { return tensors(model->state().all()); });
  m.def("wetrTo", {"model", "device"}, +[](Model model, at::Device device) { model->to(device); });
  m.def("wetrTrain", {"model", "training"}, +[](Model model, bool training) { model->training = training; });
  m.def("wetrFeatures", {"model", "image"}, +[](Model model, at::Tensor image) { return model->features(image); });
  m.def("wetrForward",
        {"model", "image", "cls", "seg", "cam", "affinity", "attention", "segDetach"}, forward);
  m.def("wetrDispose", {"model"}, +[](Napi::Value value) {
    auto* box = findBox(value.Env(), value);
    if (box && box->kind == Box::Kind::WeTr) static_cast<ObjectBox<nn::WeTr>*>(box)->object.reset();
  });
}

}  // namespace afa
