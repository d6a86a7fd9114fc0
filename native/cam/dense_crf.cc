#include "cam/dense_crf.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "cam/permutohedral.h"
#include "errors.h"

namespace afa::cam {

namespace {

constexpr float kClip = 1e-5F;          // pydensecrf's unary_from_softmax: no class is impossible
constexpr float kSumTolerance = 1e-2F;  // of probabilities from any float type
constexpr float kImpossible = -1e30F;   // its exponential is exactly 0
constexpr int64_t kPixelGrain = 1024;

template <class... Part>
[[noreturn]] void refuse(const Part&... parts) {
  invalidArgument(c10::str(parts...));
}

void checkDeviation(const char* name, double value) {
  if (!(std::isfinite(value) && value > 0)) refuse("Expected a number above 0 for ", name, " but received ", value);
}

void checkWeight(const char* name, double value) {
  if (!(std::isfinite(value) && value >= 0))
    refuse("Expected a number of at least 0 for ", name, " but received ", value);
}

void check(const at::Tensor& rgb, const at::Tensor& probabilities, const CrfConfig& config) {
  if (probabilities.dim() != 3 || probabilities.numel() == 0)
    refuse("Expected probabilities of shape [C, H, W] but received ", probabilities.sizes());
  if (probabilities.scalar_type() != at::kFloat)
    refuse("Expected float32 probabilities but received ", probabilities.scalar_type());
  if (probabilities.size(0) < 2) refuse("Expected at least 2 classes for probabilities but received 1");
  const int64_t h = probabilities.size(1), w = probabilities.size(2);
  if (rgb.scalar_type() != at::kByte || rgb.sizes() != at::IntArrayRef({h, w, 3}))
    refuse("Expected a uint8 image of shape [", h, ", ", w, ", 3] beside probabilities of ", h, " x ", w,
           " but received ", rgb.scalar_type(), " ", rgb.sizes());
  if (config.iterations < 0)
    refuse("Expected an integer of at least 0 for iterations but received ", config.iterations);
  checkWeight("posW", config.posW);
  checkWeight("biW", config.biW);
  checkDeviation("posXyStd", config.posXyStd);
  checkDeviation("biXyStd", config.biXyStd);
  checkDeviation("biRgbStd", config.biRgbStd);
}

// Names the first pixel whose numbers are no probabilities. By one thread: it reads planes in order.
void checkValues(const at::Tensor& probabilities) {
  const auto lowest = at::amin(probabilities, {0}), sum = at::sum(probabilities, {0});
  const float *low = lowest.const_data_ptr<float>(), *total = sum.const_data_ptr<float>();
  const int64_t w = probabilities.size(2);
  for (int64_t i = 0; i < sum.numel(); ++i)
    if (!(low[i] >= -kSumTolerance && std::abs(total[i] - 1) <= kSumTolerance))
      refuse("Expected probabilities of 0..1 that sum to 1 over the classes but received a sum of ", total[i],
             " and a lowest value of ", low[i], " at row ", i / w, ", column ", i % w,
             "; logits become probabilities by softmax(0)");
}

// Pixels' features in deviations: [H * W, 2] of position, or with colour [H * W, 5].
std::vector<float> features(const at::Tensor& rgb, bool colour, double xyStd, double rgbStd) {
  const int64_t h = rgb.size(0), w = rgb.size(1);
  const uint8_t* pixel = rgb.const_data_ptr<uint8_t>();
  std::vector<float> out;
  out.reserve(h * w * (colour ? 5 : 2));
  for (int64_t y = 0; y < h; ++y)
    for (int64_t x = 0; x < w; ++x, pixel += 3) {
      out.push_back(static_cast<float>(static_cast<double>(x) / xyStd));
      out.push_back(static_cast<float>(static_cast<double>(y) / xyStd));
      for (int64_t c = 0; colour && c < 3; ++c) out.push_back(static_cast<float>(pixel[c] / rgbStd));
    }
  return out;
}

// log of the clipped probabilities, [C, N] -> rows [N, stride]; the padding's classes are impossible.
std::vector<float> logitRows(const at::Tensor& probabilities, int64_t stride) {
  const int64_t classes = probabilities.size(0), n = probabilities.size(1) * probabilities.size(2);
  const auto logits = probabilities.clamp(kClip, 1.0).log_();
  const float* from = logits.const_data_ptr<float>();
  std::vector<float> out(n * stride);
  at::parallel_for(0, n, kPixelGrain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      float* row = out.data() + i * stride;
      for (int64_t c = 0; c < classes; ++c) row[c] = from[c * n + i];
      std::fill(row + classes, row + stride, kImpossible);
    }
  });
  return out;
}

at::Tensor planesOf(const std::vector<float>& rows, int64_t stride, at::IntArrayRef shape) {
  auto out = at::empty(shape);
  const int64_t classes = shape[0], n = shape[1] * shape[2];
  float* to = out.mutable_data_ptr<float>();
  at::parallel_for(0, n, kPixelGrain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      for (int64_t c = 0; c < classes; ++c) to[c * n + i] = rows[i * stride + c];
  });
  return out;
}

}  // namespace

at::Tensor denseCrf(const at::Tensor& image, const at::Tensor& given, const CrfConfig& config) {
  at::NoGradGuard guard;
  check(image, given, config);
  const auto rgb = image.to(at::kCPU).contiguous(), probabilities = given.to(at::kCPU).contiguous();
  checkValues(probabilities);
  const int64_t n = rgb.size(0) * rgb.size(1), stride = rowStride(probabilities.size(0));

  std::vector<Permutohedral> lattices;
  const auto add = [&](bool colour, double weight, double xyStd) {
    if (weight == 0 || config.iterations == 0) return;
    lattices.emplace_back(features(rgb, colour, xyStd, config.biRgbStd), colour ? 5 : 2);
    lattices.back().normalize(static_cast<float>(weight));
  };
  add(false, config.posW, config.posXyStd);
  add(true, config.biW, config.biXyStd);

  const auto logits = logitRows(probabilities, stride);
  std::vector<float> q(n * stride);
  std::vector<std::vector<float>> filtered;
  std::vector<Message> messages;
  const auto update = [&] {
    at::parallel_for(0, n, kPixelGrain, [&](int64_t begin, int64_t end) {
      updatePixels(logits.data(), stride, messages, begin, end, q.data());
    });
  };
  update();  // no message yet: the probabilities alone
  for (const auto& lattice : lattices) filtered.emplace_back(lattice.vertices() * stride);
  for (size_t k = 0; k < lattices.size(); ++k) messages.push_back({filtered[k].data(), lattices[k].slice()});
  for (int64_t i = 0; i < config.iterations; ++i) {
    // Potts compatibility: a class gains by the neighbours that have it. A price for those that have another is the
    // same but for a number that every class shares, which softmax takes out.
    for (size_t k = 0; k < lattices.size(); ++k)
      lattices[k].splatAndBlur(q.data(), stride, filtered[k].data());
    update();
  }
  return planesOf(q, stride, probabilities.sizes());
}

}  // namespace afa::cam
