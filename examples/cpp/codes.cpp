// Phonetic codes of a recording with a module of `unbraid export`, with libtorch alone.
//
//   unbraid export --exp exp/default --output phonetic --front-end phonetic.pt
//   g++ -std=c++17 -O2 codes.cpp -o codes -I$L/include -I$L/include/torch/csrc/api/include \
//     -L$L/lib -Wl,-rpath,$L/lib -ltorch_cpu -lc10                   # L: the folder of libtorch 2.11
//   sox talk.flac -t f32 - | ./codes phonetic.pt
//
// Reads one channel of 32-bit floats, full scale at 1, at the module's sample rate; writes one line per code.

#include <torch/script.h>

#include <cstdio>
#include <exception>
#include <iostream>
#include <vector>

static int run(const char *path) {
  torch::jit::ExtraFilesMap extra{{"unbraid.json", ""}};
  torch::jit::Module module = torch::jit::load(path, torch::kCPU, extra);
  if (extra["unbraid.json"].find("\"waveform\"") == std::string::npos) {
    std::cerr << path << ": expected a module exported with --front-end\n";
    return 1;
  }
  std::vector<float> samples;
  float block[4096];
  while (size_t count = std::fread(block, sizeof(float), 4096, stdin))
    samples.insert(samples.end(), block, block + count);

  torch::NoGradGuard no_grad;
  auto waveform = torch::from_blob(samples.data(), {1, static_cast<int64_t>(samples.size())});
  torch::Tensor codes = module.forward({waveform}).toTensor().squeeze(0);
  for (int64_t code = 0; code < codes.size(0); ++code) {
    for (int64_t value = 0; value < codes.size(1); ++value)
      std::printf("%s%.9g", value ? " " : "", codes[code][value].item<float>());
    std::printf("\n");
  }
  return 0;
}

int main(int count, char **words) {
  if (count != 2) {
    std::cerr << "usage: " << words[0] << " MODULE.pt < samples.f32\n";
    return 1;
  }
  try {
    return run(words[1]);
  } catch (const std::exception &error) {
    std::cerr << words[0] << ": " << error.what() << "\n";
    return 1;
  }
}
