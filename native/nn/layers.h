// Parameters by their PyTorch names, and the few layers that the model is made of.
#pragma once
#include <ATen/ATen.h>

#include <memory>
#include <string>
#include <vector>

namespace afa::distributed {
class Group;
}

namespace afa::nn {

struct NamedTensor {
  std::string name;
  at::Tensor tensor;
};

// Hands out tensors under dotted names, in PyTorch's registration order. Layers hold the same at::Tensor,
// so loading writes in place and moving to a device swaps the data under both.
class StateDict {
 public:
  at::Tensor parameter(const std::string& name, at::IntArrayRef shape);
  // One that products or convolutions read: they may do so in bfloat16.
  at::Tensor factor(const std::string& name, at::IntArrayRef shape);
  at::Tensor buffer(const std::string& name, at::Tensor initial);

  const std::vector<NamedTensor>& parameters() const { return parameters_; }
  const std::vector<at::Tensor>& factors() const { return factors_; }
  // Parameters and buffers, interleaved as PyTorch lists them.
  const std::vector<NamedTensor>& all() const { return all_; }

 private:
  std::vector<NamedTensor> parameters_, all_;
  std::vector<at::Tensor> factors_;
};

// Initial values of the original: see each layer's constructor.
enum class Init { Backbone, PyTorchDefault };

struct Linear {
  Linear(StateDict& state, const std::string& name, int64_t in, int64_t out, Init init);
  at::Tensor forward(const at::Tensor& x) const;  // [..., in] -> [..., out]
  at::Tensor addTo(const at::Tensor& residual, const at::Tensor& x) const;  // residual + forward(x)
  at::Tensor weight, bias;
};

struct Conv2d {
  struct Options {
    int64_t kernel = 1, stride = 1, padding = 0, groups = 1;
    bool bias = true;
  };
  Conv2d(StateDict& state, const std::string& name, int64_t in, int64_t out, Options options);
  at::Tensor forward(const at::Tensor& x) const;  // [B, in, H, W] -> [B, out, H', W'], layout kept
  at::Tensor forwardWithoutBias(const at::Tensor& x) const;
  at::Tensor weight, bias;
  Options options;

 private:
  at::Tensor convolve(const at::Tensor& x, const at::Tensor& added) const;
};

// Who reads a LayerNorm: products alone, which may have it in their own type at once, or others, who want float32.
enum class Readers { Products, Any };

// A sum and its LayerNorm; for their gradients, what it was normalised by, [..., 1].
struct NormedSum {
  at::Tensor sum, normed, mean, inverse;
};

struct LayerNorm {
  LayerNorm(StateDict& state, const std::string& name, int64_t channels, double eps);
  at::Tensor forward(const at::Tensor& x, Readers readers = Readers::Any) const;  // over the last dimension
  at::Tensor weight, bias;
  double eps;
};

// The LayerNorm of a convolution's output, [B, in, H, W] -> [B, H', W', out].
at::Tensor convNormed(const Conv2d& conv, const at::Tensor& image, const LayerNorm& norm, Readers readers);

// Over all processes when syncAcross is set.
struct BatchNorm2d {
  BatchNorm2d(StateDict& state, const std::string& name, int64_t channels);
  at::Tensor forward(const at::Tensor& x, bool training) const;
  at::Tensor weight, bias, runningMean, runningVar, numBatchesTracked;
  std::shared_ptr<distributed::Group> syncAcross;
};

// Kaiming draws as torch.nn.init makes them (He et al. 2015); fan is the caller's.
void kaimingUniform(at::Tensor& weight, double a, int64_t fan);
void kaimingNormal(at::Tensor& weight, double a, int64_t fan);

// [B, H, W, C] tokens seen as a [B, C, H, W] channels-last image: no copy either way.
inline at::Tensor asImage(const at::Tensor& tokens) { return tokens.permute({0, 3, 1, 2}); }
inline at::Tensor asTokens(const at::Tensor& image) {
  return image.permute({0, 2, 3, 1}).contiguous();  // free for channels-last images
}

// Stochastic depth: a residual branch is dropped for whole samples with probability p. [samples], 0 or 1 / (1 - p).
at::Tensor dropPathScale(int64_t samples, double p, at::Device device);

}  // namespace afa::nn
