// Attentive statistics over time, as one operator with gradients: of scores s and values x, each [batch, channels, frames],
//
//   w = softmax(s),   mean = sum w x,   deviation = sqrt(sum w (x - mean)^2 + epsilon)
//
// Weights are computed where they are needed, forwards and backwards, and never written to memory.

#include "lanes.h"

using namespace unbraid;

namespace {

constexpr float kEpsilon = 1e-5f;
// Below it exp is taken for that of it, which is no more than 2e-38.
constexpr float kLeastExponent = -87.0f;

typedef int32_t Integers __attribute__((vector_size(64)));

// exp of x <= 0, to 2 units in the last place (the polynomial of Cephes, Moshier 1989).
INLINE Lanes exponential(Lanes x) {
  x = x < kLeastExponent ? Lanes{} + kLeastExponent : x;
  // Rounds to the nearest integer.
  constexpr float kRounds = 12582912.0f;
  const Lanes power = (x * 1.44269504f + kRounds) - kRounds;
  const Lanes rest = x - power * 0.693359375f + power * 2.12194440e-4f;
  Lanes sum = rest * 1.9875691500e-4f + 1.3981999507e-3f;
  sum = sum * rest + 8.3334519073e-3f;
  sum = sum * rest + 4.1665795894e-2f;
  sum = sum * rest + 1.6666665459e-1f;
  sum = sum * rest + 5.0000001201e-1f;
  sum = sum * rest * rest + rest + 1;
  const Integers bits = (__builtin_convertvector(power, Integers) + 127) << 23;
  return sum * load<Lanes>(&bits);
}

// What the loops over blocks read and write.
struct Blocks : Layout {
  const void *scores, *x;
  void *dscores, *dx;
  float *largest, *scale;   // of the scores, and the reciprocal of the sum of what exp gives of them
  float *mean, *deviation;  // results
  const float *dmean, *ddeviation;
};

FOR_EACH_PROCESSOR void pool(const Blocks& blocks, float* buffer, int64_t begin, int64_t end) {
  for (int64_t index = begin; index < end; ++index) {
    const Block block(blocks, index);
    Lanes largest = Lanes{} - __builtin_inff();
    for (int64_t frame = 0; frame < block.count; ++frame) {
      const Lanes score = read(blocks, block, blocks.scores, frame);
      store(score, buffer + frame * kLanes);
      // NaN stays, so that it is found.
      largest = score <= largest ? largest : score;
    }
    float* values = buffer + blocks.frames * kLanes;
    Lanes sum = {}, weighted = {};
    for (int64_t frame = 0; frame < block.count; ++frame) {
      const Lanes x = read(blocks, block, blocks.x, frame);
      const Lanes weight = exponential(load<Lanes>(buffer + frame * kLanes) - largest);
      store(weight, buffer + frame * kLanes);
      store(x, values + frame * kLanes);
      sum += weight;
      weighted += weight * x;
    }
    const Lanes scale = block.count > 0 ? 1 / sum : Lanes{};
    const Lanes mean = weighted * scale;
    Lanes squares = {};
    for (int64_t frame = 0; frame < block.count; ++frame) {
      const Lanes centred = load<Lanes>(values + frame * kLanes) - mean;
      squares += load<Lanes>(buffer + frame * kLanes) * centred * centred;
    }
    const Lanes variance = squares * scale + kEpsilon;
    Lanes deviation;
    for (int64_t lane = 0; lane < kLanes; ++lane) {
      deviation[lane] = __builtin_sqrtf(variance[lane]);
    }
    store(largest, blocks.largest + block.row);
    store(scale, blocks.scale + block.row);
    store(mean, blocks.mean + block.row);
    store(deviation, blocks.deviation + block.row);
  }
}

FOR_EACH_PROCESSOR void spread(const Blocks& blocks, float*, int64_t begin, int64_t end) {
  for (int64_t index = begin; index < end; ++index) {
    const Block block(blocks, index);
    const Lanes largest = load<Lanes>(blocks.largest + block.row), scale = load<Lanes>(blocks.scale + block.row);
    const Lanes mean = load<Lanes>(blocks.mean + block.row), deviation = load<Lanes>(blocks.deviation + block.row);
    const Lanes dmean = load<Lanes>(blocks.dmean + block.row);
    const Lanes dvariance = load<Lanes>(blocks.ddeviation + block.row) * 0.5f / deviation;
    // The mean over the weights of the gradient of a weight.
    const Lanes shared = dvariance * (deviation * deviation - kEpsilon);
    for (int64_t frame = 0; frame < block.count; ++frame) {
      const Lanes centred = read(blocks, block, blocks.x, frame) - mean;
      const Lanes weight = exponential(read(blocks, block, blocks.scores, frame) - largest) * scale;
      const Lanes dweight = (dmean + dvariance * centred) * centred;
      write(blocks, block, weight * (dmean + dvariance * centred * 2), blocks.dx, frame);
      write(blocks, block, weight * (dweight - shared), blocks.dscores, frame);
    }
    clear_padding(blocks, block, blocks.dx);
    clear_padding(blocks, block, blocks.dscores);
  }
}

struct Lengths : torch::CustomClassHolder {
  std::vector<int64_t> each;  // empty if all sequences have all frames
};

Blocks blocks_of(
    const Shape& shape, const Lengths& lengths, const at::Tensor& scores, const at::Tensor& x, const at::Tensor& rows) {
  Blocks blocks{};
  static_cast<Layout&>(blocks) = layout_of(shape, lengths.each, x);
  blocks.scores = scores.data_ptr();
  blocks.x = x.data_ptr();
  blocks.largest = floats(rows);
  blocks.scale = blocks.largest + shape.rows();
  blocks.mean = blocks.scale + shape.rows();
  blocks.deviation = blocks.mean + shape.rows();
  return blocks;
}

struct AttentivePooling : torch::autograd::Function<AttentivePooling> {
  static at::Tensor forward(
      torch::autograd::AutogradContext* context, const at::Tensor& given_scores, const at::Tensor& given_x,
      const c10::intrusive_ptr<Lengths>& lengths) {
    const Shape shape(given_x);
    const auto scores = adjacent(given_scores), x = adjacent(given_x);
    const auto rows = at::empty({4, shape.batch, shape.stride()}, x.options().dtype(at::kFloat));
    for_blocks(blocks_of(shape, *lengths, scores, x, rows), shape.batch, pool);
    context->save_for_backward({scores, x, rows});
    context->saved_data["lengths"] = c10::IValue::make_capsule(lengths);
    // [batch, 2 channels]: means, then deviations.
    const auto results = rows.slice(0, 2, 4).slice(2, 0, shape.channels);
    return results.transpose(0, 1).reshape({shape.batch, 2 * shape.channels});
  }

  static torch::autograd::variable_list backward(
      torch::autograd::AutogradContext* context, torch::autograd::variable_list gradients) {
    // What follows is no operation of autograd.
    TORCH_CHECK(!at::GradMode::is_enabled(), "attentive_pooling: expected one differentiation, found a second");
    const auto saved = context->get_saved_variables();
    const auto &scores = saved[0], &x = saved[1], &rows = saved[2];
    const auto lengths = c10::static_intrusive_pointer_cast<Lengths>(context->saved_data["lengths"].toCapsule());
    const Shape shape(x);
    const auto dscores = like(x), dx = like(x);
    auto given = at::zeros({2, shape.batch, shape.stride()}, rows.options());
    given.slice(2, 0, shape.channels)
        .copy_(gradients[0].reshape({shape.batch, 2, shape.channels}).transpose(0, 1));
    Blocks blocks = blocks_of(shape, *lengths, scores, x, rows);
    blocks.dscores = dscores.data_ptr();
    blocks.dx = dx.data_ptr();
    blocks.dmean = floats(given);
    blocks.ddeviation = blocks.dmean + shape.rows();
    for_blocks(blocks, shape.batch, spread);
    return {dscores, dx, at::Tensor()};
  }
};

}  // namespace

// As in attentive_pooling.rs. `lengths` is null where nothing is padded.
extern "C" at::Tensor* unbraid_attentive_pooling(
    const at::Tensor* scores, const at::Tensor* x, const int64_t* lengths, int64_t sequences, char** error) {
  return tensor_or_error("attentive_pooling", error, [&] {
    check_sequences(*x);
    check(*scores, *x, x->scalar_type(), x->numel(), "scores");
    TORCH_CHECK(scores->sizes() == x->sizes(), "expected scores of ", x->sizes(), ", found ", scores->sizes());
    auto own = c10::make_intrusive<Lengths>();
    own->each = checked_lengths(*x, lengths, sequences);
    return AttentivePooling::apply(*scores, *x, own);
  });
}
