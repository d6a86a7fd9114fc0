// CUDA graphs of the CAM passes: hundreds of small kernels that the host would launch one by one, launched by one call.
#pragma once
#include <functional>
#include <memory>
#include <optional>

#include "cam/multi_scale_cam.h"

namespace afa::cam {

using CamPass = std::function<MultiScaleOutput(const at::Tensor& images)>;

// `pass` by a graph of it, or nothing where it should run as it is: without a GPU, in train mode, whose random draws would
// be the captured ones, for shapes that were not seen often enough, and where a graph would not pay or not fit. A pass is captured once for each shape and checked against itself; where one cannot be captured all
// run as they are from then on, and `fault` says why.
std::optional<MultiScaleOutput> replayPass(const nn::WeTr& model, const at::Tensor& images,
                                           const MultiScaleConfig& config, const CamPass& pass, std::string& fault);

}  // namespace afa::cam
