// What the operators share that work on [batch, channels, frames], f32 or bf16 on the CPU, with the channels of a frame
// adjacent in memory. A block is 16 channels of one sequence, one to a lane. Sums have a fixed order, whatever the number of
// threads and the processor.

#pragma once

#include <dlfcn.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>

// One function for each kind of processor, chosen when the program starts.
#if defined(__x86_64__) && defined(__gnu_linux__) && defined(__GNUC__) && !defined(__clang__) && __GNUC__ >= 12
#define FOR_EACH_PROCESSOR __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define FOR_EACH_PROCESSOR
#endif
#define INLINE __attribute__((always_inline)) inline

namespace unbraid {

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

// NaN stays, so that it is found.
INLINE Lanes rectified(Lanes x) {
  return x <= 0 ? Lanes{} : x;
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

INLINE int64_t padded(int64_t channels) {
  return (channels + kLanes - 1) / kLanes * kLanes;
}

// Where tensors and sequences lie. Tensors are [batch, frames, channels] in memory; what each channel of each sequence has
// is [batch, padded channels].
struct Layout {
  int64_t channels, frames;
  const int64_t* lengths;  // of each sequence; null if all have `frames`
  bool is_half;

  INLINE int64_t length(int64_t sequence) const { return lengths ? lengths[sequence] : frames; }
};

// A block, and where it lies.
struct Block {
  int64_t sequence, channel;
  int64_t width;  // its channels
  int64_t count;  // its frames without padding
  int64_t row;    // its place in what each channel of each sequence has
  int64_t start;  // its place in a tensor

  INLINE Block(const Layout& layout, int64_t index) {
    const int64_t groups = padded(layout.channels) / kLanes;
    sequence = index / groups;
    channel = index % groups * kLanes;
    width = layout.channels - channel < kLanes ? layout.channels - channel : kLanes;
    count = layout.length(sequence);
    row = sequence * groups * kLanes + channel;
    start = sequence * layout.frames * layout.channels + channel;
  }
};

// One frame of a block; zero in lanes without a channel.
INLINE Lanes read(const Layout& layout, const Block& block, const void* from, int64_t frame) {
  const int64_t place = block.start + frame * layout.channels;
  if (layout.is_half) {
    const uint16_t* halves = static_cast<const uint16_t*>(from) + place;
    Halves values = {};
    if (block.width == kLanes) {
      values = load<Halves>(halves);
    } else {
      for (int64_t lane = 0; lane < block.width; ++lane) {
        values[lane] = halves[lane];
      }
    }
    return widened(values);
  }
  const float* floats = static_cast<const float*>(from) + place;
  if (block.width == kLanes) {
    return load<Lanes>(floats);
  }
  Lanes values = {};
  for (int64_t lane = 0; lane < block.width; ++lane) {
    values[lane] = floats[lane];
  }
  return values;
}

INLINE void write(const Layout& layout, const Block& block, Lanes values, void* to, int64_t frame) {
  const int64_t place = block.start + frame * layout.channels;
  if (layout.is_half) {
    uint16_t* halves = static_cast<uint16_t*>(to) + place;
    const Halves narrow = narrowed(values);
    if (block.width == kLanes) {
      store(narrow, halves);
      return;
    }
    for (int64_t lane = 0; lane < block.width; ++lane) {
      halves[lane] = narrow[lane];
    }
    return;
  }
  float* floats = static_cast<float*>(to) + place;
  if (block.width == kLanes) {
    store(values, floats);
    return;
  }
  for (int64_t lane = 0; lane < block.width; ++lane) {
    floats[lane] = values[lane];
  }
}

INLINE void clear_padding(const Layout& layout, const Block& block, void* to) {
  for (int64_t frame = block.count; frame < layout.frames; ++frame) {
    write(layout, block, Lanes{}, to, frame);
  }
}

// Runs `loop` over all blocks on the threads of libtorch. They are those of the OpenMP library that libtorch brings, whatever
// it is; compiled for OpenMP, this file would bring another.
template <typename Work>
struct Task {
  const Work* work;
  void (*loop)(const Work&, float*, int64_t, int64_t);
  int64_t count;

  void run(int64_t begin, int64_t end) const {
    // Two of a block.
    const std::unique_ptr<float[]> buffer(new float[2 * kLanes * work->frames]);
    loop(*work, buffer.get(), begin, end);
  }
};

inline int (*const thread_number)() = reinterpret_cast<int (*)()>(dlsym(RTLD_DEFAULT, "omp_get_thread_num"));
inline int (*const thread_count)() = reinterpret_cast<int (*)()>(dlsym(RTLD_DEFAULT, "omp_get_num_threads"));

template <typename Work>
void run_part(void* pointer) {
  const auto& task = *static_cast<const Task<Work>*>(pointer);
  const int64_t threads = thread_count(), own = thread_number();
  task.run(task.count * own / threads, task.count * (own + 1) / threads);
}

template <typename Work>
void for_blocks(const Work& work, int64_t batch, void (*loop)(const Work&, float*, int64_t, int64_t)) {
  using Region = void (*)(void (*)(void*), void*, unsigned, unsigned);
  static const auto region = reinterpret_cast<Region>(dlsym(RTLD_DEFAULT, "GOMP_parallel"));
  constexpr int64_t kWorthThreads = 1 << 15;
  Task<Work> task{&work, loop, batch * padded(work.channels) / kLanes};
  const int threads = at::get_num_threads();
  const bool is_small = batch * work.frames * work.channels < kWorthThreads;
  if (threads <= 1 || is_small || !region || !thread_number || !thread_count || at::in_parallel_region()) {
    task.run(0, task.count);
    return;
  }
  region(run_part<Work>, &task, static_cast<unsigned>(threads), 0);
}

struct Shape {
  int64_t batch, channels, frames;
  explicit Shape(const at::Tensor& x) : batch(x.size(0)), channels(x.size(1)), frames(x.size(2)) {}
  int64_t stride() const { return padded(channels); }
  int64_t rows() const { return batch * stride(); }
};

using Optional = std::optional<at::Tensor>;

// [batch, channels, frames] with the channels of a frame adjacent.
inline at::Tensor adjacent(const at::Tensor& x) {
  return x.transpose(1, 2).contiguous().transpose(1, 2);
}

inline at::Tensor like(const at::Tensor& x) {
  return at::empty({x.size(0), x.size(2), x.size(1)}, x.options()).transpose(1, 2);
}

inline float* floats(const at::Tensor& tensor) {
  return static_cast<float*>(tensor.data_ptr());
}

inline Layout layout_of(const Shape& shape, const std::vector<int64_t>& lengths, const at::Tensor& x) {
  return {shape.channels, shape.frames, lengths.empty() ? nullptr : lengths.data(), x.scalar_type() == at::kBFloat16};
}

// Refuses what is not a tensor of the CPU of this kind and size.
inline void check(
    const at::Tensor& tensor, const at::Tensor& x, at::ScalarType kind, int64_t count, const char* name) {
  TORCH_CHECK(
      tensor.device().is_cpu() && tensor.layout() == at::kStrided && tensor.scalar_type() == kind,
      "expected ", name, " of ", kind, " on the CPU, found ", tensor.toString());
  TORCH_CHECK(
      tensor.numel() == count, "expected ", count, " values of ", name, " for ", x.sizes(), ", found ",
      tensor.sizes());
}

// Refuses what is not [batch, channels, frames] of f32 or bf16 on the CPU.
inline void check_sequences(const at::Tensor& x) {
  TORCH_CHECK(x.dim() == 3 && x.numel() > 0, "expected [batch, channels, frames], found ", x.sizes());
  TORCH_CHECK(
      x.scalar_type() == at::kFloat || x.scalar_type() == at::kBFloat16, "expected f32 or bf16, found ",
      x.scalar_type());
  check(x, x, x.scalar_type(), x.numel(), "x");
}

// The lengths of the sequences of `x`, none where `lengths` is null.
inline std::vector<int64_t> checked_lengths(const at::Tensor& x, const int64_t* lengths, int64_t sequences) {
  if (!lengths) {
    return {};
  }
  TORCH_CHECK(sequences == x.size(0), "expected ", x.size(0), " lengths, found ", sequences);
  for (int64_t sequence = 0; sequence < sequences; ++sequence) {
    TORCH_CHECK(
        lengths[sequence] >= 0 && lengths[sequence] <= x.size(2), "expected a length of at most ", x.size(2),
        ", found ", lengths[sequence]);
  }
  return {lengths, lengths + sequences};
}

// A new tensor, for the caller to free as tch frees its own; or null, and in `error` a text of malloc that begins with the
// operator's name.
template <typename Make>
at::Tensor* tensor_or_error(const char* operation, char** error, const Make& make) {
  std::string failure;
  try {
    return new at::Tensor(make());
  } catch (const c10::Error& failed) {
    failure = failed.what_without_backtrace();
  } catch (const std::exception& failed) {
    failure = failed.what();
  } catch (...) {
    failure = "unknown exception";
  }
  *error = strdup((std::string(operation) + ": " + failure).c_str());
  return nullptr;
}

}  // namespace unbraid
