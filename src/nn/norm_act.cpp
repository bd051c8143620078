// What follows a convolution over time, as one operator with gradients:
//
//   y = keep (rectify(norm(rectify(x)) gain + shift) + residual)
//
// A block is read into a buffer of f32 that the cache holds, and all that is computed of it is computed there.

#include "lanes.h"

#include <algorithm>
#include <cmath>

#include <ATen/TracerMode.h>

using namespace unbraid;

namespace {

// As `Statistics` in norm_act.rs.
enum Statistics : int32_t { kOfSequence = 0, kOfBatch = 1, kGiven = 2 };

constexpr double kMomentum = 0.1;
constexpr double kEpsilon = 1e-5;

// What the loops over blocks read and write.
struct Blocks : Layout {
  Statistics statistics;
  bool rectify_first, rectify;
  uint32_t dropped;  // of 2^32; 0 drops nothing
  uint64_t seed;
  const void *x, *residual, *dy;
  void *y, *dx, *dresidual;
  const float *gain, *shift;
  float *mean, *slope;             // of the normalisation
  float* squares;                  // sum of squared deviations from the sequence's own mean
  float *sum, *correlation;        // of the gradient before `gain`, alone and times the normalised value
  float *of_sum, *of_correlation;  // what the statistics of the batch take from the gradient
};

// What the normalisation reads.
INLINE Lanes read_input(const Blocks& blocks, const Block& block, int64_t frame) {
  const Lanes x = read(blocks, block, blocks.x, frame);
  return blocks.rectify_first ? rectified(x) : x;
}

// What dropout multiplies a frame of a block with: a function of seed and place, so that it need not be kept.
struct Dropout {
  uint32_t first, second, dropped;
  float scale;

  INLINE Dropout(const Blocks& blocks, const Block& block) : dropped(blocks.dropped) {
    // SplitMix64 (Steele et al. 2014).
    uint64_t mixed = blocks.seed + (block.sequence + 1) * 0x9e3779b97f4a7c15u;
    mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9u;
    mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111ebu;
    mixed ^= mixed >> 31;
    first = static_cast<uint32_t>(mixed);
    second = static_cast<uint32_t>(mixed >> 32);
    scale = 1.0f / (1.0f - static_cast<float>(dropped) * 0x1p-32f);
  }

  INLINE Lanes keep(int64_t place) const {
    const Words lanes = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    // A bijection of 32 bits by two products (Wellons 2018, "Prospecting for hash functions").
    Words bits = (lanes + static_cast<uint32_t>(place)) * 0x9e3779b9u + first;
    bits = (bits ^ (bits >> 16)) * 0x7feb352du;
    bits = ((bits ^ (bits >> 15)) + second) * 0x846ca68bu;
    bits ^= bits >> 16;
    return bits < dropped ? Lanes{} : Lanes{} + scale;
  }

  INLINE Lanes keep(const Blocks& blocks, const Block& block, int64_t frame) const {
    return keep(frame * blocks.channels + block.channel);
  }
};

INLINE Lanes slope_of(Lanes squares, float count) {
  const Lanes variance = squares / count + static_cast<float>(kEpsilon);
  Lanes slope;
  for (int64_t lane = 0; lane < kLanes; ++lane) {
    slope[lane] = 1.0f / __builtin_sqrtf(variance[lane]);
  }
  return slope;
}

// Reads a block into `buffer`; if `measures`, its mean and squared deviations too.
INLINE void read_block(const Blocks& blocks, const Block& block, float* buffer, bool measures) {
  Lanes sum = {};
  for (int64_t frame = 0; frame < block.count; ++frame) {
    const Lanes x = read_input(blocks, block, frame);
    store(x, buffer + frame * kLanes);
    sum += x;
  }
  if (!measures) {
    return;
  }
  const Lanes mean = sum / static_cast<float>(block.count > 0 ? block.count : 1);
  Lanes squares = {};
  for (int64_t frame = 0; frame < block.count; ++frame) {
    const Lanes centred = load<Lanes>(buffer + frame * kLanes) - mean;
    squares += centred * centred;
  }
  store(mean, blocks.mean + block.row);
  store(squares, blocks.squares + block.row);
}

FOR_EACH_PROCESSOR void measure(const Blocks& blocks, float* buffer, int64_t begin, int64_t end) {
  for (int64_t index = begin; index < end; ++index) {
    read_block(blocks, Block(blocks, index), buffer, true);
  }
}

// The output of each block; mean and slope too, where they are those of the sequence.
FOR_EACH_PROCESSOR void transform(const Blocks& blocks, float* buffer, int64_t begin, int64_t end) {
  for (int64_t index = begin; index < end; ++index) {
    const Block block(blocks, index);
    const bool measures = blocks.statistics == kOfSequence;
    read_block(blocks, block, buffer, measures);
    if (measures) {
      const float count = static_cast<float>(block.count > 0 ? block.count : 1);
      store(slope_of(load<Lanes>(blocks.squares + block.row), count), blocks.slope + block.row);
    }
    const Dropout dropout(blocks, block);
    // The mean is subtracted first: without deviation the slope is 316, and would make rounding count.
    const Lanes mean = load<Lanes>(blocks.mean + block.row), shift = load<Lanes>(blocks.shift + block.row);
    const Lanes gain = load<Lanes>(blocks.slope + block.row) * load<Lanes>(blocks.gain + block.row);
    for (int64_t frame = 0; frame < block.count; ++frame) {
      Lanes y = (load<Lanes>(buffer + frame * kLanes) - mean) * gain + shift;
      if (blocks.rectify) {
        y = rectified(y);
      }
      if (blocks.residual) {
        y += read(blocks, block, blocks.residual, frame);
      }
      if (blocks.dropped) {
        y *= dropout.keep(blocks, block, frame);
      }
      write(blocks, block, y, blocks.y, frame);
    }
    clear_padding(blocks, block, blocks.y);
  }
}

// Reads a block's input into `input` and into `gradient` the gradient of what follows the normalisation's gain and shift;
// sums both. If `writes`, the residual's gradient is written.
INLINE void read_gradient(const Blocks& blocks, const Block& block, float* input, float* gradient, bool writes) {
  const Dropout dropout(blocks, block);
  const Lanes mean = load<Lanes>(blocks.mean + block.row), slope = load<Lanes>(blocks.slope + block.row);
  const Lanes gain = slope * load<Lanes>(blocks.gain + block.row), shift = load<Lanes>(blocks.shift + block.row);
  Lanes sum = {}, correlation = {};
  for (int64_t frame = 0; frame < block.count; ++frame) {
    const Lanes x = read_input(blocks, block, frame);
    Lanes g = read(blocks, block, blocks.dy, frame);
    if (blocks.dropped) {
      g *= dropout.keep(blocks, block, frame);
    }
    if (writes && blocks.dresidual) {
      write(blocks, block, g, blocks.dresidual, frame);
    }
    if (blocks.rectify) {
      g = (x - mean) * gain + shift <= 0 ? Lanes{} : g;
    }
    sum += g;
    correlation += g * ((x - mean) * slope);
    store(x, input + frame * kLanes);
    store(g, gradient + frame * kLanes);
  }
  store(sum, blocks.sum + block.row);
  store(correlation, blocks.correlation + block.row);
}

FOR_EACH_PROCESSOR void collect(const Blocks& blocks, float* buffer, int64_t begin, int64_t end) {
  for (int64_t index = begin; index < end; ++index) {
    read_gradient(blocks, Block(blocks, index), buffer, buffer + blocks.frames * kLanes, false);
  }
}

// The gradients of each block's input and residual.
FOR_EACH_PROCESSOR void spread(const Blocks& blocks, float* buffer, int64_t begin, int64_t end) {
  for (int64_t index = begin; index < end; ++index) {
    const Block block(blocks, index);
    float* gradient = buffer + blocks.frames * kLanes;
    read_gradient(blocks, block, buffer, gradient, true);
    const Lanes mean = load<Lanes>(blocks.mean + block.row), slope = load<Lanes>(blocks.slope + block.row);
    Lanes before = Lanes{} + 1, after = slope * load<Lanes>(blocks.gain + block.row);
    Lanes of_sum = {}, of_correlation = {};
    if (blocks.statistics == kOfSequence) {
      const float count = static_cast<float>(block.count > 0 ? block.count : 1);
      of_sum = load<Lanes>(blocks.sum + block.row) / count;
      of_correlation = load<Lanes>(blocks.correlation + block.row) / count;
    } else if (blocks.statistics == kOfBatch) {
      // Sequences may differ in gain.
      before = load<Lanes>(blocks.gain + block.row);
      after = slope;
      of_sum = load<Lanes>(blocks.of_sum + block.row);
      of_correlation = load<Lanes>(blocks.of_correlation + block.row);
    }
    for (int64_t frame = 0; frame < block.count; ++frame) {
      const Lanes x = load<Lanes>(buffer + frame * kLanes);
      const Lanes normal = (x - mean) * slope;
      Lanes dx = (load<Lanes>(gradient + frame * kLanes) * before - of_sum - normal * of_correlation) * after;
      if (blocks.rectify_first) {
        dx = x <= 0 ? Lanes{} : dx;
      }
      write(blocks, block, dx, blocks.dx, frame);
    }
    clear_padding(blocks, block, blocks.dx);
    if (blocks.dresidual) {
      clear_padding(blocks, block, blocks.dresidual);
    }
  }
}

// What an application is, apart from the tensors of autograd.
struct Plan : torch::CustomClassHolder {
  Statistics statistics = kOfSequence;
  bool rectify_first = false, rectify = false;
  double dropout = 0;
  uint64_t seed = 0;
  std::vector<int64_t> lengths;  // empty if all sequences have all frames
  at::Tensor running_mean, running_variance;
};

// One value a channel, or one a channel of each sequence, as [batch, padded channels].
std::vector<float> by_row(const at::Tensor& values, float otherwise, const Shape& shape) {
  std::vector<float> rows(shape.rows(), otherwise);
  if (values.defined()) {
    const bool are_shared = values.numel() == shape.channels;
    for (int64_t sequence = 0; sequence < shape.batch; ++sequence) {
      const float* own = floats(values) + (are_shared ? 0 : sequence * shape.channels);
      std::copy(own, own + shape.channels, rows.begin() + sequence * shape.stride());
    }
  }
  return rows;
}

// The same numbers for each sequence, from `of(channel)`.
template <typename Of>
void for_channels(const Shape& shape, float* first, float* second, const Of& of) {
  std::fill(first, first + shape.rows(), 0.0f);
  std::fill(second, second + shape.rows(), 0.0f);
  for (int64_t channel = 0; channel < shape.channels; ++channel) {
    const auto [a, b] = of(channel);
    for (int64_t row = channel; row < shape.rows(); row += shape.stride()) {
      first[row] = a;
      second[row] = b;
    }
  }
}

Blocks blocks_of(const Plan& plan, const Shape& shape, const at::Tensor& x) {
  Blocks blocks{};
  static_cast<Layout&>(blocks) = layout_of(shape, plan.lengths, x);
  blocks.statistics = plan.statistics;
  blocks.rectify_first = plan.rectify_first;
  blocks.rectify = plan.rectify;
  blocks.dropped = static_cast<uint32_t>(plan.dropout * 0x1p32);
  blocks.seed = plan.seed;
  blocks.x = x.data_ptr();
  return blocks;
}

float slope_of(double variance) {
  return static_cast<float>(1.0 / std::sqrt(variance + kEpsilon));
}

// Mean and deviations of the batch from those of its sequences (Chan et al. 1979), which move the running ones.
void join(const Blocks& blocks, const Shape& shape, const Plan& plan) {
  float *means = floats(plan.running_mean), *variances = floats(plan.running_variance);
  for_channels(shape, blocks.mean, blocks.slope, [&, own = std::vector<float>(blocks.mean, blocks.mean + shape.rows())](
                                                     int64_t channel) {
    double count = 0, mean = 0, squares = 0;
    for (int64_t sequence = 0; sequence < shape.batch; ++sequence) {
      const double length = static_cast<double>(blocks.length(sequence));
      if (length > 0) {
        const int64_t row = sequence * shape.stride() + channel;
        const double gap = own[row] - mean;
        squares += blocks.squares[row] + gap * gap * count * length / (count + length);
        mean += gap * length / (count + length);
        count += length;
      }
    }
    means[channel] += kMomentum * (mean - means[channel]);
    variances[channel] += kMomentum * (squares / (count - 1) - variances[channel]);
    return std::make_pair(static_cast<float>(mean), slope_of(squares / count));
  });
}

// What the statistics of a batch take from the gradient of each of its values.
void share(const Blocks& blocks, const Shape& shape) {
  double count = 0;
  for (int64_t sequence = 0; sequence < shape.batch; ++sequence) {
    count += static_cast<double>(blocks.length(sequence));
  }
  for_channels(shape, blocks.of_sum, blocks.of_correlation, [&](int64_t channel) {
    double sum = 0, correlation = 0;
    for (int64_t row = channel; row < shape.rows(); row += shape.stride()) {
      sum += static_cast<double>(blocks.gain[row]) * blocks.sum[row];
      correlation += static_cast<double>(blocks.gain[row]) * blocks.correlation[row];
    }
    return std::make_pair(static_cast<float>(sum / count), static_cast<float>(correlation / count));
  });
}

// The gradient of one gain a channel of each sequence, or of one a channel.
at::Tensor of_gains(const at::Tensor& of_rows, const at::Tensor& gain, const Shape& shape) {
  const auto each = of_rows.view({shape.batch, shape.stride()}).slice(1, 0, shape.channels);
  return (gain.numel() == shape.batch * shape.channels ? each : each.sum(0)).reshape(gain.sizes());
}

at::Tensor contiguous(const Optional& tensor) {
  return tensor ? tensor->contiguous() : at::Tensor();
}

struct NormAct : torch::autograd::Function<NormAct> {
  static at::Tensor forward(
      torch::autograd::AutogradContext* context, const at::Tensor& given_x, const Optional& given_gain,
      const Optional& given_shift, const Optional& given_residual, const c10::intrusive_ptr<Plan>& plan) {
    const Shape shape(given_x);
    const auto x = adjacent(given_x), y = like(x);
    const auto residual = given_residual ? adjacent(*given_residual) : at::Tensor();
    const auto gain = contiguous(given_gain), shift = contiguous(given_shift);
    const auto gains = by_row(gain, 1, shape), shifts = by_row(shift, 0, shape);
    const auto moments = at::empty({2, shape.rows()}, x.options().dtype(at::kFloat));
    std::vector<float> squares(shape.rows());
    Blocks blocks = blocks_of(*plan, shape, x);
    blocks.residual = residual.defined() ? residual.data_ptr() : nullptr;
    blocks.y = y.data_ptr();
    blocks.gain = gains.data();
    blocks.shift = shifts.data();
    blocks.mean = floats(moments);
    blocks.slope = blocks.mean + shape.rows();
    blocks.squares = squares.data();
    if (plan->statistics == kOfBatch) {
      for_blocks(blocks, shape.batch, measure);
      join(blocks, shape, *plan);
    } else if (plan->statistics == kGiven) {
      const float *means = floats(plan->running_mean), *variances = floats(plan->running_variance);
      for_channels(shape, blocks.mean, blocks.slope, [&](int64_t channel) {
        return std::make_pair(means[channel], slope_of(variances[channel]));
      });
    }
    for_blocks(blocks, shape.batch, transform);
    context->save_for_backward({x, gain, shift, moments});
    context->saved_data["plan"] = c10::IValue::make_capsule(plan);
    context->saved_data["residual"] = residual.defined();
    return y;
  }

  static torch::autograd::variable_list backward(
      torch::autograd::AutogradContext* context, torch::autograd::variable_list gradients) {
    // What follows is no operation of autograd.
    TORCH_CHECK(!at::GradMode::is_enabled(), "expected one differentiation, found a second");
    const auto saved = context->get_saved_variables();
    const auto &x = saved[0], &gain = saved[1], &shift = saved[2], &moments = saved[3];
    const auto plan = c10::static_intrusive_pointer_cast<Plan>(context->saved_data["plan"].toCapsule());
    const Shape shape(x);
    const auto gains = by_row(gain, 1, shape), shifts = by_row(shift, 0, shape);
    const auto dy = adjacent(gradients[0]), dx = like(x);
    const auto sums = at::empty({4, shape.rows()}, moments.options());
    Blocks blocks = blocks_of(*plan, shape, x);
    blocks.dy = dy.data_ptr();
    blocks.dx = dx.data_ptr();
    blocks.gain = gains.data();
    blocks.shift = shifts.data();
    blocks.mean = floats(moments);
    blocks.slope = blocks.mean + shape.rows();
    blocks.sum = floats(sums);
    blocks.correlation = blocks.sum + shape.rows();
    blocks.of_sum = blocks.correlation + shape.rows();
    blocks.of_correlation = blocks.of_sum + shape.rows();
    at::Tensor dresidual, dgain, dshift;
    if (context->saved_data["residual"].toBool()) {
      // Without padding and dropout it is that of the output.
      const bool passes = plan->lengths.empty() && plan->dropout == 0;
      dresidual = passes ? dy : like(x);
      blocks.dresidual = passes ? nullptr : dresidual.data_ptr();
    }
    if (plan->statistics == kOfBatch) {
      for_blocks(blocks, shape.batch, collect);
      share(blocks, shape);
    }
    for_blocks(blocks, shape.batch, spread);
    if (gain.defined()) {
      dgain = of_gains(sums[1], gain, shape);
      dshift = of_gains(sums[0], shift, shape);
    }
    return {dx, dgain, dshift, dresidual, at::Tensor()};
  }
};

Optional given(const at::Tensor* tensor) {
  return tensor ? Optional(*tensor) : std::nullopt;
}

}  // namespace

extern "C" {

// As in norm_act.rs. Tensors that are not there are null.
struct NormActCall {
  const at::Tensor *x, *gain, *shift, *residual, *running_mean, *running_variance;
  const int64_t* lengths;
  int64_t sequences;
  int32_t statistics;
  bool rectify_first, rectify;
  double dropout;
  uint64_t seed;
};

at::Tensor* unbraid_norm_act(const NormActCall* call, char** error) {
  return tensor_or_error("norm_act", error, [&] {
    const at::Tensor& x = *call->x;
    const auto gain = given(call->gain), shift = given(call->shift), residual = given(call->residual);
    check_sequences(x);
    TORCH_CHECK(gain.has_value() == shift.has_value(), "expected a gain and a shift, found one of them");
    if (gain) {
      check(*gain, x, at::kFloat, gain->numel() == x.size(1) ? x.size(1) : x.size(0) * x.size(1), "gain");
      check(*shift, x, at::kFloat, gain->numel(), "shift");
    }
    if (residual) {
      check(*residual, x, x.scalar_type(), x.numel(), "residual");
      TORCH_CHECK(
          residual->sizes() == x.sizes(), "expected a residual of ", x.sizes(), ", found ", residual->sizes());
    }
    auto plan = c10::make_intrusive<Plan>();
    if (call->statistics != kOfSequence) {
      TORCH_CHECK(call->running_mean && call->running_variance, "expected running statistics, found none");
      plan->running_mean = *call->running_mean;
      plan->running_variance = *call->running_variance;
      check(plan->running_mean, x, at::kFloat, x.size(1), "running mean");
      check(plan->running_variance, x, at::kFloat, x.size(1), "running variance");
      TORCH_CHECK(
          plan->running_mean.is_contiguous() && plan->running_variance.is_contiguous(),
          "expected contiguous running statistics");
    }
    TORCH_CHECK(call->dropout >= 0 && call->dropout < 1, "expected dropout in [0, 1), found ", call->dropout);
    plan->statistics = static_cast<Statistics>(call->statistics);
    plan->rectify_first = call->rectify_first;
    plan->rectify = call->rectify;
    plan->dropout = call->dropout;
    plan->seed = call->seed;
    plan->lengths = checked_lengths(x, call->lengths, call->sequences);
    int64_t count = x.size(0) * x.size(2);
    if (!plan->lengths.empty()) {
      count = 0;
      for (const int64_t length : plan->lengths) {
        count += length;
      }
    }
    TORCH_CHECK(call->statistics != kOfBatch || count > 1, "expected a batch of two frames or more, found ", count);
    return NormAct::apply(x, gain, shift, residual, plan);
  });
}

// Whether operations are being recorded, of which this could not be one.
bool unbraid_is_tracing() {
  return at::tracer::impl::is_dispatch_enabled();
}
}
