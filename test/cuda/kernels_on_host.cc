// The CUDA kernels' arithmetic on the CPU: every thread of every launch in turn, as native/**/*.cu launches them.
// kernels_on_host OP SIZES... reads the op's arrays from stdin, one after the other, and writes its results to stdout.
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "cam/cuda/affinity_threads.h"
#include "cam/cuda/par_threads.h"
#include "images/cuda/normalize_threads.h"
#include "nn/cuda/depthwise_threads.h"
#include "nn/cuda/norm_threads.h"

using namespace afa::cam::cuda;

template <class T>
std::vector<T> take(size_t count) {
  std::vector<T> out(count);
  if (count && std::fread(out.data(), sizeof(T), count, stdin) != count) std::exit(3);
  return out;
}
template <class T>
void give(const std::vector<T>& values) {
  if (!values.empty()) std::fwrite(values.data(), sizeof(T), values.size(), stdout);
}

template <class Thread>
void launch(int layers, int rows, int columns, const Thread& thread) {
  for (int z = 0; z < layers; ++z)
    for (int y = 0; y < rows; ++y)
      for (int x = 0; x < columns; ++x) thread(z, y, x);
}

// sizes: images, channels, height, width, neighbours, rounds.
void par(const std::vector<int>& n) {
  const int B = n[0], C = n[1], H = n[2], W = n[3], K = n[4];
  const auto shifts = take<int32_t>(2 * K);
  const auto position = take<float>(K);
  const auto boxes = take<Box>(B);
  const auto images = take<float>(size_t{3} * B * H * W), masks = take<float>(size_t(B) * C * H * W);
  const Planes p{half(H), half(W), boxes.data(), K, shifts.data()};
  // What no thread writes must not be read: NaN would spread.
  const auto buffer = [&](int layers) { return std::vector<float>(size_t(layers) * p.size(), NAN); };
  auto small = buffer(3 * B), from = buffer(C * B), to = buffer(C * B), weights = buffer(K * B);
  launch(3 * B, p.rows, p.columns, [&](int z, int y, int x) {
    shrinkPixel(p, images.data(), H, W, small.data(), 3, false, z / 3, z % 3, y, x);
  });
  launch(C * B, p.rows, p.columns, [&](int z, int y, int x) {
    shrinkPixel(p, masks.data(), H, W, from.data(), C, true, z / C, z % C, y, x);
  });
  launch(B, p.rows, p.columns, [&](int z, int y, int x) {
    weighPixel(p, small.data(), position.data(), weights.data(), z, y, x);
  });
  for (int i = 0; i < n[5]; ++i) {
    const int groups = (C + kChannelsAtOnce - 1) / kChannelsAtOnce;
    launch(B * groups, p.rows, p.columns, [&](int z, int y, int x) {
      averagePixel(p, weights.data(), from.data(), to.data(), C, z % groups * kChannelsAtOnce, z / groups, y, x);
    });
    std::swap(from, to);
  }
  std::vector<float> out(masks.size(), NAN);
  launch(C * B, H, W, [&](int z, int y, int x) {
    growPixel(p, from.data(), out.data(), H, W, C, z / C, z % C, y, x);
  });
  give(out);
}

// sizes: images, channels, grid height, grid width, radius, slices.
void walk(const std::vector<int>& n) {
  const PairGrid grid{n[2], n[3]};
  const int B = n[0], C = n[1], N = grid.positions(), slices = n[5];
  const auto affinity = take<float>(size_t(B) * N * N), scores = take<float>(size_t(B) * C * N);
  std::vector<float> out(scores.size(), NAN);
  for (int b = 0; b < B; ++b)
    for (int first = 0; first < C; first += kWalkChannels)
      for (int j = 0; j < N; ++j) {
        Walk sum = {};
        for (int slice = 0; slice < slices; ++slice)
          sum.add(walkTo(affinity.data() + size_t(b) * N * N, scores.data() + size_t(b) * C * N, grid, n[4], C, first, j,
                         slice, slices));
        endWalk(sum, out.data() + size_t(b) * C * N, grid, C, first, j);
      }
  give(out);
}

// sizes: images, label height, label width, grid height, grid width, ignored.
void labels(const std::vector<int>& n) {
  const PairGrid grid{n[3], n[4]};
  const int N = grid.positions();
  const auto near = take<uint8_t>(size_t(N) * N);
  const auto label = take<int64_t>(size_t(n[0]) * n[1] * n[2]);
  std::vector<uint8_t> out;
  launch(n[0], N, N, [&](int b, int i, int j) {
    out.push_back(
        pairLabel(label.data(), n[1], n[2], grid, reinterpret_cast<const bool*>(near.data()), n[5], b, i, j));
  });
  give(out);
}

// sizes: pairs. Results: both sums, both counts, then the gradient for gradients 2 and 3 of the sums.
void sums(const std::vector<int>& n) {
  const auto affinity = take<float>(n[0]);
  const auto label = take<uint8_t>(n[0]);
  PairSums all = {};
  std::vector<float> gradient;
  for (int i = 0; i < n[0]; ++i) {
    PairSums one = {};
    one.add(affinity[i], label[i]);
    all.add(one);
    gradient.push_back(pairGradient(label[i], 2, 3));
  }
  give(std::vector<float>{all.same, all.different, float(all.sameCount), float(all.differentCount)});
  give(gradient);
}

// sizes: images, height, width, channels.
void normalize(const std::vector<int>& n) {
  const size_t pixels = size_t(n[0]) * n[1] * n[2];
  const auto data = take<uint8_t>(pixels * n[3]), mirrored = take<uint8_t>(n[0]);
  const auto table = take<float>(3 * afa::images::cuda::kByteValues);
  const afa::images::cuda::ByteImages images{data.data(), mirrored.data(), n[1], n[2], n[3]};
  std::vector<float> out(3 * pixels, NAN);
  launch(n[0], 1, images.pixels(), [&](int b, int, int pixel) {
    normalizePixel(images, table.data(), out.data(), b, pixel);
  });
  give(out);
}

namespace nn = afa::nn::cuda;

// Neighbouring values in one pack each, rounded to T on the way.
template <class T, int kCount>
std::vector<nn::Pack<T, kCount>> packed(const std::vector<float>& values) {
  std::vector<nn::Pack<T, kCount>> out(values.size() / kCount);
  for (size_t i = 0; i < values.size(); ++i) out[i / kCount].values[i % kCount] = nn::rounded<T>(values[i]);
  return out;
}
template <class T, int kCount>
void giveUnpacked(const std::vector<nn::Pack<T, kCount>>& packs) {
  std::vector<float> out;
  for (const auto& pack : packs)
    for (const auto& value : pack.values) out.push_back(nn::toFloat(value));
  give(out);
}

// sizes: values.
void roundToBFloat16(const std::vector<int>& n) { giveUnpacked(packed<nn::BFloat16, 1>(take<float>(n[0]))); }

// sizes: bfloat16 or not, images, height, width, channels.
template <class T>
void depthwise(const std::vector<int>& n) {
  const nn::TokenGrid grid{n[2], n[3], n[4] / 2};
  const auto x = packed<T, 2>(take<float>(size_t(n[1]) * n[2] * n[3] * n[4]));
  const auto weight = take<float>(size_t{9} * n[4]), bias = take<float>(n[4]);
  auto out = packed<T, 2>(std::vector<float>(2 * x.size(), NAN));
  for (int image = 0; image < n[1]; ++image)
    for (unsigned thread = 0; thread < grid.threads(); ++thread)
      nn::depthwiseGeluStrip(grid, x.data(), weight.data(), bias.data(), out.data(), image, thread);
  giveUnpacked(out);
}

// A sum over a token's channels, each lane's part in turn.
template <int kLanes, class Part>
float overLanes(const Part& part) {
  float total = 0;
  for (int lane = 0; lane < kLanes; ++lane) total += part(lane);
  return total;
}

// run<lanes, quads of each>() as the kernels are launched for so many quads.
template <class Run>
void byWidth(int quads, const Run& run) {
  if (quads <= 16) run.template operator()<16, 1>();
  else if (quads <= 32) run.template operator()<32, 1>();
  else if (quads <= 64) run.template operator()<32, 2>();
  else if (quads <= 96) run.template operator()<32, 3>();
  else run.template operator()<32, 4>();
}

nn::SampleScale scaleOf(const std::vector<float>& scale, int tokens) {
  if (scale.empty()) return {nullptr, 0};
  return {scale.data(), static_cast<unsigned>(tokens / scale.size())};
}

// sizes: bfloat16 or not, tokens, channels, with a residual or not, with a branch's bias or not, samples that are
// scaled. Results: the sum, if there is a residual, then its norm.
template <class T>
void norm(const std::vector<int>& n) {
  const int tokens = n[1], quads = n[2] / 4, samples = n[5];
  const size_t values = size_t(tokens) * n[2];
  const auto residual = packed<float, 4>(take<float>(n[3] ? values : 0));
  const auto branch = packed<T, 4>(take<float>(values));
  const auto branchBias = packed<float, 4>(take<float>(n[4] ? n[2] : 0));
  const auto scale = take<float>(samples);
  const auto weight = packed<float, 4>(take<float>(n[2])), bias = packed<float, 4>(take<float>(n[2]));
  auto sum = packed<float, 4>(std::vector<float>(residual.size() * 4, NAN));
  auto normed = packed<T, 4>(std::vector<float>(values, NAN));
  const nn::Summands<T> from{n[3] ? residual.data() : nullptr, branch.data(), n[4] ? branchBias.data() : nullptr,
                             scaleOf(scale, tokens)};
  byWidth(quads, [&]<int kLanes, int kEach>() {
    for (int token = 0; token < tokens; ++token) {
      nn::LaneChannels<kEach> own[kLanes];
      const float mean = overLanes<kLanes>([&](int lane) {
        return nn::gather(from, n[3] ? sum.data() : nullptr, token, quads, lane, kLanes, own[lane]);
      }) / float(n[2]);
      const float variance =
          overLanes<kLanes>([&](int lane) { return nn::squares(own[lane], mean, quads, lane, kLanes); }) / float(n[2]);
      for (int lane = 0; lane < kLanes; ++lane)
        nn::writeNormed(own[lane], mean, 1 / std::sqrt(variance + 1e-6F), weight.data(), bias.data(), normed.data(),
                        token, quads, lane, kLanes);
    }
  });
  giveUnpacked(sum);
  giveUnpacked(normed);
}

// sizes: bfloat16 or not, tokens, channels, with a gradient of the sum or not, samples that are scaled. Results: the
// residual's gradient, then the branch's.
template <class T>
void normGradients(const std::vector<int>& n) {
  const int tokens = n[1], quads = n[2] / 4, samples = n[4];
  const size_t values = size_t(tokens) * n[2];
  const auto dNormed = packed<T, 4>(take<float>(values));
  const auto dSum = packed<float, 4>(take<float>(n[3] ? values : 0)), sum = packed<float, 4>(take<float>(values));
  const auto mean = take<float>(tokens), inverse = take<float>(tokens), scale = take<float>(samples);
  const auto weight = packed<float, 4>(take<float>(n[2]));
  auto dResidual = packed<float, 4>(std::vector<float>(values, NAN));
  auto dBranch = packed<T, 4>(std::vector<float>(values, NAN));
  const nn::NormGradients<T> from{dNormed.data(), n[3] ? dSum.data() : nullptr, sum.data(), mean.data(),
                                  inverse.data(), weight.data()};
  byWidth(quads, [&]<int kLanes, int kEach>() {
    for (int token = 0; token < tokens; ++token) {
      nn::LaneChannels<kEach> g[kLanes], normed[kLanes];
      float projected = 0;
      const float plain = overLanes<kLanes>([&](int lane) {
        const auto own = nn::gatherGradients(from, token, quads, lane, kLanes, g[lane], normed[lane]);
        projected += own.projected;
        return own.plain;
      });
      for (int lane = 0; lane < kLanes; ++lane)
        nn::writeGradients(from, g[lane], normed[lane], plain / float(n[2]), projected / float(n[2]),
                           scaleOf(scale, tokens).of(token), dResidual.data(), dBranch.data(), token,
                           quads, lane, kLanes);
    }
  });
  giveUnpacked(dResidual);
  giveUnpacked(dBranch);
}

int main(int argc, char** argv) {
  const std::string op = argc > 1 ? argv[1] : "";
  std::vector<int> sizes;
  for (int i = 2; i < argc; ++i) sizes.push_back(std::atoi(argv[i]));
  if (op == "par") par(sizes);
  else if (op == "walk") walk(sizes);
  else if (op == "labels") labels(sizes);
  else if (op == "sums") sums(sizes);
  else if (op == "normalize") normalize(sizes);
  else if (op == "round") roundToBFloat16(sizes);
  else if (op == "depthwise") sizes[0] ? depthwise<nn::BFloat16>(sizes) : depthwise<float>(sizes);
  else if (op == "norm") sizes[0] ? norm<nn::BFloat16>(sizes) : norm<float>(sizes);
  else if (op == "norm_gradients") sizes[0] ? normGradients<nn::BFloat16>(sizes) : normGradients<float>(sizes);
  else return 2;
}
