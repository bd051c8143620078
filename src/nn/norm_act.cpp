// What follows a convolution over time, as one operator with gradients:
//
//   y = keep (rectify(norm(rectify(x)) gain + shift) + residual)
//
// of x [batch, channels, frames], f32 or bf16 on the CPU. A row is the frames of one channel of one sequence; it is read into
// a buffer of f32 that the cache holds, and all that is computed of it is computed there. Sums have a fixed order, whatever
// the number of threads and the processor.

#include <dlfcn.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <memory>
#include <optional>
#include <vector>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/TracerMode.h>
#include <torch/csrc/autograd/custom_function.h>

// One function for each kind of processor, chosen when the program starts.
#if defined(__x86_64__) && defined(__gnu_linux__) && defined(__GNUC__) && !defined(__clang__) && __GNUC__ >= 12
#define FOR_EACH_PROCESSOR __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define FOR_EACH_PROCESSOR
#endif
#define INLINE __attribute__((always_inline)) inline

namespace {

// As `Statistics` in norm_act.rs.
enum Statistics : int32_t { kOfSequence = 0, kOfBatch = 1, kGiven = 2 };

constexpr double kMomentum = 0.1;
constexpr double kEpsilon = 1e-5;

// Vectors of the compiler, which it maps to those of the processor.
constexpr int64_t kLanes = 16;
typedef float Lanes __attribute__((vector_size(64)));
typedef uint32_t Words __attribute__((vector_size(64)));
typedef uint16_t Halves __attribute__((vector_size(32)));

template <typename Vector>
INLINE Vector load(const void* from) {
  Vector vector;
  __builtin_memcpy(&vector, from, sizeof(vector));
  return vector;
}

template <typename Vector>
INLINE void store(Vector vector, void* to) {
  __builtin_memcpy(to, &vector, sizeof(vector));
}

INLINE Lanes rectified(Lanes x) {
  return x > 0 ? x : Lanes{};
}

INLINE float total(Lanes x) {
  float sum = 0;
  for (int64_t lane = 0; lane < kLanes; ++lane) {
    sum += x[lane];
  }
  return sum;
}

INLINE Lanes widened(Halves x) {
  Words words = __builtin_convertvector(x, Words) << 16;
  return load<Lanes>(&words);
}

// To the nearest, ties to even.
INLINE Halves narrowed(Lanes x) {
  Words words = load<Words>(&x);
  words = (words + 0x7fff + ((words >> 16) & 1)) >> 16;
  words = x == x ? words : Words{} + 0x7fc0;
  return __builtin_convertvector(words, Halves);
}

INLINE int64_t padded(int64_t frames) {
  return (frames + kLanes - 1) / kLanes * kLanes;
}

// `count` values of a row to f32, then zeros up to whole lanes.
INLINE void read(const void* from, bool is_half, int64_t count, float* to) {
  const int64_t whole = count / kLanes * kLanes;
  if (is_half) {
    const uint16_t* halves = static_cast<const uint16_t*>(from);
    for (int64_t at = 0; at < whole; at += kLanes) {
      store(widened(load<Halves>(halves + at)), to + at);
    }
    if (whole < count) {
      uint16_t rest[kLanes] = {};
      __builtin_memcpy(rest, halves + whole, (count - whole) * sizeof(uint16_t));
      store(widened(load<Halves>(rest)), to + whole);
    }
    return;
  }
  if (whole < count) {
    store(Lanes{}, to + whole);
  }
  __builtin_memcpy(to, from, count * sizeof(float));
}

// The first `count` values of a row, and zeros up to its `frames`.
INLINE void write(const float* from, bool is_half, int64_t count, int64_t frames, void* to) {
  if (is_half) {
    uint16_t* halves = static_cast<uint16_t*>(to);
    const int64_t whole = count / kLanes * kLanes;
    for (int64_t at = 0; at < whole; at += kLanes) {
      store(narrowed(load<Lanes>(from + at)), halves + at);
    }
    if (whole < count) {
      const Halves rest = narrowed(load<Lanes>(from + whole));
      __builtin_memcpy(halves + whole, &rest, (count - whole) * sizeof(uint16_t));
    }
    __builtin_memset(halves + count, 0, (frames - count) * sizeof(uint16_t));
    return;
  }
  __builtin_memcpy(to, from, count * sizeof(float));
  __builtin_memset(static_cast<float*>(to) + count, 0, (frames - count) * sizeof(float));
}

// Everything that the loops over rows read and write.
struct Rows {
  int64_t channels, frames;
  const int64_t* lengths;  // of each sequence; null if all have `frames`
  bool is_half, rectify_first, rectify;
  uint32_t dropped;  // of 2^32; 0 drops nothing
  uint64_t seed;
  const float *gain, *shift;  // null for 1 and 0
  int64_t gains;              // of them: one a channel, or one a row
  const void *x, *residual, *dy;
  void *y, *dx, *dresidual;
  // Of each row.
  float *mean, *slope;       // of the normalisation
  float *squares;            // sum of squared deviations from the row's own mean
  float *sum, *correlation;  // of the gradient before `gain`, alone and times the normalised value
  float *of_sum, *of_correlation;  // what the statistics take from the gradient

  INLINE int64_t length(int64_t row) const { return lengths ? lengths[row / channels] : frames; }
  INLINE int64_t bytes() const { return frames * (is_half ? 2 : 4); }
  INLINE const char* of(const void* all, int64_t row) const { return static_cast<const char*>(all) + row * bytes(); }
  INLINE char* of(void* all, int64_t row) const { return static_cast<char*>(all) + row * bytes(); }
  INLINE float gain_of(int64_t row) const { return gain ? gain[row % gains] : 1.0f; }
  INLINE float shift_of(int64_t row) const { return shift ? shift[row % gains] : 0.0f; }
};

// The row as the normalisation reads it.
INLINE void read_input(const Rows& rows, int64_t row, int64_t count, float* to) {
  read(rows.of(rows.x, row), rows.is_half, count, to);
  if (rows.rectify_first) {
    for (int64_t at = 0; at < padded(count); at += kLanes) {
      store(rectified(load<Lanes>(to + at)), to + at);
    }
  }
}

// What dropout multiplies 16 values of a row with: a function of seed and place, so that it need not be kept.
struct Dropout {
  uint32_t first, second, dropped;
  float scale;

  INLINE Dropout(const Rows& rows, int64_t row) : dropped(rows.dropped) {
    // SplitMix64 (Steele et al. 2014).
    uint64_t mixed = rows.seed + (row + 1) * 0x9e3779b97f4a7c15u;
    mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9u;
    mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111ebu;
    mixed ^= mixed >> 31;
    first = static_cast<uint32_t>(mixed);
    second = static_cast<uint32_t>(mixed >> 32);
    scale = 1.0f / (1.0f - static_cast<float>(dropped) * 0x1p-32f);
  }

  INLINE Lanes keep(int64_t at) const {
    const Words places = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    // A bijection of 32 bits by two products (Wellons 2018, "Prospecting for hash functions").
    Words bits = (places + static_cast<uint32_t>(at)) * 0x9e3779b9u + first;
    bits = (bits ^ (bits >> 16)) * 0x7feb352du;
    bits = ((bits ^ (bits >> 15)) + second) * 0x846ca68bu;
    bits ^= bits >> 16;
    return bits < dropped ? Lanes{} : Lanes{} + scale;
  }
};

// Mean and squared deviations of each row.
FOR_EACH_PROCESSOR void measure(const Rows& rows, float* buffer, int64_t begin, int64_t end) {
  for (int64_t row = begin; row < end; ++row) {
    const int64_t count = rows.length(row), whole = padded(count);
    read_input(rows, row, count, buffer);
    Lanes sum = {};
    for (int64_t at = 0; at < whole; at += kLanes) {
      sum += load<Lanes>(buffer + at);
    }
    const float mean = count > 0 ? total(sum) / static_cast<float>(count) : 0.0f;
    for (int64_t at = count; at < whole; ++at) {
      buffer[at] = mean;
    }
    Lanes squares = {};
    for (int64_t at = 0; at < whole; at += kLanes) {
      const Lanes centred = load<Lanes>(buffer + at) - mean;
      squares += centred * centred;
    }
    rows.mean[row] = mean;
    rows.squares[row] = total(squares);
  }
}

// The output of each row.
FOR_EACH_PROCESSOR void transform(const Rows& rows, float* buffer, int64_t begin, int64_t end) {
  for (int64_t row = begin; row < end; ++row) {
    const int64_t count = rows.length(row), whole = padded(count);
    float* residual = buffer + whole;
    read_input(rows, row, count, buffer);
    if (rows.residual) {
      read(rows.of(rows.residual, row), rows.is_half, count, residual);
    }
    const Dropout dropout(rows, row);
    const float gain = rows.slope[row] * rows.gain_of(row);
    const float shift = rows.shift_of(row) - rows.mean[row] * gain;
    for (int64_t at = 0; at < whole; at += kLanes) {
      Lanes y = load<Lanes>(buffer + at) * gain + shift;
      if (rows.rectify) {
        y = rectified(y);
      }
      if (rows.residual) {
        y += load<Lanes>(residual + at);
      }
      if (rows.dropped) {
        y *= dropout.keep(at);
      }
      store(y, buffer + at);
    }
    write(buffer, rows.is_half, count, rows.frames, rows.of(rows.y, row));
  }
}

// Reads a row's input, normalised, and the gradient of what is normalised times gain plus shift; in between, that of the
// residual.
INLINE void read_gradient(const Rows& rows, int64_t row, int64_t count, float* normal, float* gradient, bool writes) {
  const int64_t whole = padded(count);
  read_input(rows, row, count, normal);
  read(rows.of(rows.dy, row), rows.is_half, count, gradient);
  if (rows.dropped) {
    const Dropout dropout(rows, row);
    for (int64_t at = 0; at < whole; at += kLanes) {
      store(load<Lanes>(gradient + at) * dropout.keep(at), gradient + at);
    }
  }
  if (writes && rows.dresidual) {
    write(gradient, rows.is_half, count, rows.frames, rows.of(rows.dresidual, row));
  }
  const float mean = rows.mean[row], slope = rows.slope[row];
  const float gain = slope * rows.gain_of(row), shift = rows.shift_of(row) - mean * gain;
  for (int64_t at = 0; at < whole; at += kLanes) {
    const Lanes x = load<Lanes>(normal + at);
    if (rows.rectify) {
      const Lanes passed = load<Lanes>(gradient + at);
      store(x * gain + shift > 0 ? passed : Lanes{}, gradient + at);
    }
    store((x - mean) * slope, normal + at);
  }
}

// The sums over each row that the gradients of statistics, gain and shift are made of.
FOR_EACH_PROCESSOR void collect(const Rows& rows, float* buffer, int64_t begin, int64_t end) {
  for (int64_t row = begin; row < end; ++row) {
    const int64_t count = rows.length(row), whole = padded(count);
    float* gradient = buffer + whole;
    read_gradient(rows, row, count, buffer, gradient, false);
    Lanes sum = {}, correlation = {};
    for (int64_t at = 0; at < whole; at += kLanes) {
      const Lanes g = load<Lanes>(gradient + at);
      sum += g;
      correlation += g * load<Lanes>(buffer + at);
    }
    rows.sum[row] = total(sum);
    rows.correlation[row] = total(correlation);
  }
}

// The gradients of each row's input and residual.
FOR_EACH_PROCESSOR void spread(const Rows& rows, float* buffer, int64_t begin, int64_t end) {
  for (int64_t row = begin; row < end; ++row) {
    const int64_t count = rows.length(row), whole = padded(count);
    float *gradient = buffer + whole, *input = buffer + 2 * whole;
    read_gradient(rows, row, count, buffer, gradient, true);
    if (rows.rectify_first) {
      read(rows.of(rows.x, row), rows.is_half, count, input);
    }
    const float gain = rows.gain_of(row), slope = rows.slope[row];
    const float of_sum = rows.of_sum[row], of_correlation = rows.of_correlation[row];
    for (int64_t at = 0; at < whole; at += kLanes) {
      Lanes dx = load<Lanes>(gradient + at) * gain - of_sum - load<Lanes>(buffer + at) * of_correlation;
      dx *= slope;
      if (rows.rectify_first) {
        dx = load<Lanes>(input + at) > 0 ? dx : Lanes{};
      }
      store(dx, gradient + at);
    }
    write(gradient, rows.is_half, count, rows.frames, rows.of(rows.dx, row));
  }
}

// Runs `body(begin, end)` over parts of `count` rows on the threads of libtorch. They are those of the OpenMP library that
// libtorch brings, whatever it is; compiled for OpenMP, this file would bring another.
template <typename Body>
void in_parallel(int64_t count, int64_t frames, const Body& body) {
  using Region = void (*)(void (*)(void*), void*, unsigned, unsigned);
  static const auto region = reinterpret_cast<Region>(dlsym(RTLD_DEFAULT, "GOMP_parallel"));
  static const auto number = reinterpret_cast<int (*)()>(dlsym(RTLD_DEFAULT, "omp_get_thread_num"));
  static const auto size = reinterpret_cast<int (*)()>(dlsym(RTLD_DEFAULT, "omp_get_num_threads"));
  constexpr int64_t kWorthThreads = 1 << 15;
  const int threads = at::get_num_threads();
  if (threads <= 1 || count * frames < kWorthThreads || !region || !number || !size || at::in_parallel_region()) {
    body(0, count);
    return;
  }
  struct Task {
    int64_t count;
    const Body* body;
  } task{count, &body};
  const auto run = [](void* pointer) {
    const Task& task = *static_cast<Task*>(pointer);
    const int64_t threads = size(), own = number();
    (*task.body)(task.count * own / threads, task.count * (own + 1) / threads);
  };
  region(run, &task, static_cast<unsigned>(threads), 0);
}

using Buffer = std::unique_ptr<float[]>;

Buffer buffer_of(int64_t frames) {
  return Buffer(new float[3 * padded(frames) + kLanes]);
}

// Rows whose input is still in the first cache when they are read again.
constexpr int64_t kBlock = 8;

// What an application is, apart from its tensors.
struct Plan : torch::CustomClassHolder {
  Statistics statistics = kOfSequence;
  bool rectify_first = false, rectify = false;
  double dropout = 0;
  uint64_t seed = 0;
  std::vector<int64_t> lengths;  // empty if all sequences have all frames
  at::Tensor running_mean, running_variance;
};

float slope_of(double squares, double count) {
  return static_cast<float>(1.0 / std::sqrt(squares / count + kEpsilon));
}

// The same numbers for all rows of each channel, from `of(channel)`.
template <typename Of>
void for_channels(int64_t batch, int64_t channels, float* first, float* second, const Of& of) {
  for (int64_t channel = 0; channel < channels; ++channel) {
    const auto [a, b] = of(channel);
    for (int64_t row = channel; row < batch * channels; row += channels) {
      first[row] = a;
      second[row] = b;
    }
  }
}

struct Shape {
  int64_t batch, channels, frames, rows;
  explicit Shape(const at::Tensor& x)
      : batch(x.size(0)), channels(x.size(1)), frames(x.size(2)), rows(batch * channels) {}
};

Rows rows_of(const Plan& plan, const Shape& shape, const at::Tensor& x, const at::Tensor& gain, const at::Tensor& shift) {
  Rows rows{};
  rows.channels = shape.channels;
  rows.frames = shape.frames;
  rows.lengths = plan.lengths.empty() ? nullptr : plan.lengths.data();
  rows.is_half = x.scalar_type() == at::kBFloat16;
  rows.rectify_first = plan.rectify_first;
  rows.rectify = plan.rectify;
  rows.dropped = static_cast<uint32_t>(plan.dropout * 0x1p32);
  rows.seed = plan.seed;
  rows.x = x.data_ptr();
  if (gain.defined()) {
    rows.gain = static_cast<const float*>(gain.data_ptr());
    rows.shift = static_cast<const float*>(shift.data_ptr());
    rows.gains = gain.numel();
  }
  return rows;
}

// Mean and deviations of the batch from those of its rows (Chan et al. 1979), which move the running ones.
void join(const Rows& rows, const Shape& shape, float* means, float* variances) {
  for_channels(shape.batch, shape.channels, rows.mean, rows.slope, [&](int64_t channel) {
    double count = 0, mean = 0, squares = 0;
    for (int64_t row = channel; row < shape.rows; row += shape.channels) {
      const double own = static_cast<double>(rows.length(row));
      if (own > 0) {
        const double gap = rows.mean[row] - mean;
        squares += rows.squares[row] + gap * gap * count * own / (count + own);
        mean += gap * own / (count + own);
        count += own;
      }
    }
    means[channel] += kMomentum * (mean - means[channel]);
    variances[channel] += kMomentum * (squares / (count - 1) - variances[channel]);
    return std::make_pair(static_cast<float>(mean), slope_of(squares, count));
  });
}

using Optional = std::optional<at::Tensor>;

at::Tensor contiguous(const Optional& tensor) {
  return tensor ? tensor->contiguous() : at::Tensor();
}

struct NormAct : torch::autograd::Function<NormAct> {
  static at::Tensor forward(
      torch::autograd::AutogradContext* context, const at::Tensor& given_x, const Optional& given_gain,
      const Optional& given_shift, const Optional& given_residual, const c10::intrusive_ptr<Plan>& plan) {
    const auto x = given_x.contiguous();
    const auto gain = contiguous(given_gain), shift = contiguous(given_shift), residual = contiguous(given_residual);
    const Shape shape(x);
    const auto y = at::empty_like(x);
    const auto moments = at::empty({2, shape.rows}, x.options().dtype(at::kFloat));
    const std::unique_ptr<float[]> squares(new float[shape.rows]);
    Rows rows = rows_of(*plan, shape, x, gain, shift);
    rows.residual = residual.defined() ? residual.data_ptr() : nullptr;
    rows.y = y.data_ptr();
    rows.mean = static_cast<float*>(moments.data_ptr());
    rows.slope = rows.mean + shape.rows;
    rows.squares = squares.get();
    if (plan->statistics == kOfSequence) {
      in_parallel(shape.rows, shape.frames, [&](int64_t begin, int64_t end) {
        const Buffer buffer = buffer_of(shape.frames);
        for (; begin < end; begin += kBlock) {
          const int64_t last = std::min(begin + kBlock, end);
          measure(rows, buffer.get(), begin, last);
          for (int64_t row = begin; row < last; ++row) {
            rows.slope[row] = slope_of(rows.squares[row], std::max<int64_t>(rows.length(row), 1));
          }
          transform(rows, buffer.get(), begin, last);
        }
      });
    } else {
      normalise_batch(rows, shape, *plan);
      in_parallel(shape.rows, shape.frames, [&](int64_t begin, int64_t end) {
        transform(rows, buffer_of(shape.frames).get(), begin, end);
      });
    }
    context->save_for_backward({x, gain, shift, moments});
    context->saved_data["plan"] = c10::IValue::make_capsule(plan);
    context->saved_data["residual"] = residual.defined();
    return y;
  }

  static void normalise_batch(const Rows& rows, const Shape& shape, const Plan& plan) {
    float* means = static_cast<float*>(plan.running_mean.data_ptr());
    float* variances = static_cast<float*>(plan.running_variance.data_ptr());
    if (plan.statistics == kOfBatch) {
      in_parallel(shape.rows, shape.frames, [&](int64_t begin, int64_t end) {
        measure(rows, buffer_of(shape.frames).get(), begin, end);
      });
      join(rows, shape, means, variances);
      return;
    }
    for_channels(shape.batch, shape.channels, rows.mean, rows.slope, [&](int64_t channel) {
      return std::make_pair(means[channel], slope_of(variances[channel], 1));
    });
  }

  static torch::autograd::variable_list backward(
      torch::autograd::AutogradContext* context, torch::autograd::variable_list gradients) {
    // What follows is no operation of autograd.
    TORCH_CHECK(!at::GradMode::is_enabled(), "norm_act: expected one differentiation, found a second");
    const auto saved = context->get_saved_variables();
    const auto& x = saved[0];
    const auto& gain = saved[1];
    const auto& shift = saved[2];
    const auto plan = c10::static_intrusive_pointer_cast<Plan>(context->saved_data["plan"].toCapsule());
    const bool has_residual = context->saved_data["residual"].toBool();
    const Shape shape(x);
    const auto dy = gradients[0].contiguous();
    const auto dx = at::empty_like(x);
    // Without padding and dropout, the residual's gradient is that of the output.
    const bool passes = plan->lengths.empty() && plan->dropout == 0;
    const auto dresidual = !has_residual ? at::Tensor() : passes ? dy : at::empty_like(x);
    const auto sums = at::empty({4, shape.rows}, saved[3].options());
    Rows rows = rows_of(*plan, shape, x, gain, shift);
    rows.dy = dy.data_ptr();
    rows.dx = dx.data_ptr();
    rows.dresidual = has_residual && !passes ? dresidual.data_ptr() : nullptr;
    rows.mean = static_cast<float*>(saved[3].data_ptr());
    rows.slope = rows.mean + shape.rows;
    rows.sum = static_cast<float*>(sums.data_ptr());
    rows.correlation = rows.sum + shape.rows;
    rows.of_sum = rows.correlation + shape.rows;
    rows.of_correlation = rows.of_sum + shape.rows;
    if (plan->statistics == kOfBatch) {
      in_parallel(shape.rows, shape.frames, [&](int64_t begin, int64_t end) {
        collect(rows, buffer_of(shape.frames).get(), begin, end);
      });
      share(rows, shape);
    }
    in_parallel(shape.rows, shape.frames, [&](int64_t begin, int64_t end) {
      const Buffer buffer = buffer_of(shape.frames);
      for (; begin < end; begin += kBlock) {
        const int64_t last = std::min(begin + kBlock, end);
        if (plan->statistics != kOfBatch) {
          collect(rows, buffer.get(), begin, last);
          for (int64_t row = begin; row < last; ++row) {
            const float part = plan->statistics == kGiven
                ? 0
                : rows.gain_of(row) / static_cast<float>(std::max<int64_t>(rows.length(row), 1));
            rows.of_sum[row] = part * rows.sum[row];
            rows.of_correlation[row] = part * rows.correlation[row];
          }
        }
        spread(rows, buffer.get(), begin, last);
      }
    });
    at::Tensor dgain, dshift;
    if (gain.defined()) {
      dgain = of_gains(sums[1], gain, shape);
      dshift = of_gains(sums[0], shift, shape);
    }
    return {dx, dgain, dshift, dresidual, at::Tensor()};
  }

  // What the statistics of a batch take from the gradient of each of its rows.
  static void share(const Rows& rows, const Shape& shape) {
    double count = 0;
    for (int64_t row = 0; row < shape.rows; row += shape.channels) {
      count += static_cast<double>(rows.length(row));
    }
    for_channels(shape.batch, shape.channels, rows.of_sum, rows.of_correlation, [&](int64_t channel) {
      double sum = 0, correlation = 0;
      for (int64_t row = channel; row < shape.rows; row += shape.channels) {
        sum += static_cast<double>(rows.gain_of(row)) * rows.sum[row];
        correlation += static_cast<double>(rows.gain_of(row)) * rows.correlation[row];
      }
      return std::make_pair(static_cast<float>(sum / count), static_cast<float>(correlation / count));
    });
  }

  // The gradient of one gain a row, or of one a channel.
  static at::Tensor of_gains(const at::Tensor& of_rows, const at::Tensor& gain, const Shape& shape) {
    const auto each = of_rows.view({shape.batch, shape.channels});
    return (gain.numel() == shape.rows ? each : each.sum(0)).view(gain.sizes());
  }
};

void check(const at::Tensor& tensor, const at::Tensor& x, at::ScalarType kind, int64_t count, const char* name) {
  TORCH_CHECK(
      tensor.device().is_cpu() && tensor.layout() == at::kStrided && tensor.scalar_type() == kind,
      "norm_act: expected ", name, " of ", kind, " on the CPU, found ", tensor.toString());
  TORCH_CHECK(
      tensor.numel() == count, "norm_act: expected ", count, " values of ", name, " for ", x.sizes(), ", found ",
      tensor.sizes());
}

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

// A new tensor, for the caller to free as tch frees its own; or null, and in `error` a text of malloc.
at::Tensor* unbraid_norm_act(const NormActCall* call, char** error) {
  try {
    const at::Tensor& x = *call->x;
    const auto gain = given(call->gain), shift = given(call->shift), residual = given(call->residual);
    TORCH_CHECK(x.dim() == 3 && x.numel() > 0, "norm_act: expected [batch, channels, frames], found ", x.sizes());
    TORCH_CHECK(
        x.scalar_type() == at::kFloat || x.scalar_type() == at::kBFloat16, "norm_act: expected f32 or bf16, found ",
        x.scalar_type());
    check(x, x, x.scalar_type(), x.numel(), "x");
    TORCH_CHECK(gain.has_value() == shift.has_value(), "norm_act: expected a gain and a shift, found one of them");
    if (gain) {
      check(*gain, x, at::kFloat, gain->numel() == x.size(1) ? x.size(1) : x.size(0) * x.size(1), "gain");
      check(*shift, x, at::kFloat, gain->numel(), "shift");
    }
    if (residual) {
      check(*residual, x, x.scalar_type(), x.numel(), "residual");
      TORCH_CHECK(
          residual->sizes() == x.sizes(), "norm_act: expected a residual of ", x.sizes(), ", found ", residual->sizes());
    }
    auto plan = c10::make_intrusive<Plan>();
    if (call->statistics != kOfSequence) {
      TORCH_CHECK(call->running_mean && call->running_variance, "norm_act: expected running statistics, found none");
      plan->running_mean = *call->running_mean;
      plan->running_variance = *call->running_variance;
      check(plan->running_mean, x, at::kFloat, x.size(1), "running mean");
      check(plan->running_variance, x, at::kFloat, x.size(1), "running variance");
      TORCH_CHECK(
          plan->running_mean.is_contiguous() && plan->running_variance.is_contiguous(),
          "norm_act: expected contiguous running statistics");
    }
    TORCH_CHECK(call->dropout >= 0 && call->dropout < 1, "norm_act: expected dropout in [0, 1), found ", call->dropout);
    plan->statistics = static_cast<Statistics>(call->statistics);
    plan->rectify_first = call->rectify_first;
    plan->rectify = call->rectify;
    plan->dropout = call->dropout;
    plan->seed = call->seed;
    int64_t count = x.size(0) * x.size(2);
    if (call->lengths) {
      TORCH_CHECK(
          call->sequences == x.size(0), "norm_act: expected ", x.size(0), " lengths, found ", call->sequences);
      plan->lengths.assign(call->lengths, call->lengths + call->sequences);
      count = 0;
      for (const int64_t length : plan->lengths) {
        TORCH_CHECK(
            length >= 0 && length <= x.size(2), "norm_act: expected a length of at most ", x.size(2), ", found ", length);
        count += length;
      }
    }
    TORCH_CHECK(
        call->statistics != kOfBatch || count > 1, "norm_act: expected a batch of two frames or more, found ", count);
    return new at::Tensor(NormAct::apply(x, gain, shift, residual, plan));
  } catch (const c10::Error& failed) {
    *error = strdup(failed.what_without_backtrace());
  } catch (const std::exception& failed) {
    *error = strdup(failed.what());
  } catch (...) {
    *error = strdup("unknown exception");
  }
  return nullptr;
}

// Whether operations are being recorded, of which this could not be one.
bool unbraid_is_tracing() {
  return at::tracer::impl::is_dispatch_enabled();
}
}
