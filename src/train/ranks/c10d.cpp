// What unbraid calls of libtorch's c10d, as C functions: a store of keys that all processes share, and sums and copies of
// tensors over them. No exception leaves a function: where one fails, `error` holds its text, for the caller to free.

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <string>
#include <vector>

#include <ATen/ATen.h>
#include <c10/util/Flags.h>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

C10_DECLARE_int(caffe2_log_level);

namespace {

// c10d's own messages have stacks; what fails is said in one line by the caller.
constexpr int kFatal = 3;

using Group = c10::intrusive_ptr<c10d::ProcessGroupGloo>;
using StorePointer = c10::intrusive_ptr<c10d::Store>;
using WorkPointer = c10::intrusive_ptr<c10d::Work>;

struct Store {
  c10::intrusive_ptr<c10d::TCPStore> tcp;
  StorePointer keys;
};

std::chrono::milliseconds milliseconds(int64_t count) {
  return std::chrono::milliseconds(count);
}

template <typename Body>
auto guarded(char** error, Body body) -> decltype(body()) {
  try {
    return body();
  } catch (const c10::Error& failed) {
    *error = strdup(failed.what_without_backtrace());
  } catch (const std::exception& failed) {
    *error = strdup(failed.what());
  } catch (...) {
    *error = strdup("unknown exception");
  }
  return {};
}

std::vector<at::Tensor> one(const at::Tensor* tensor) {
  return {*tensor};
}

}  // namespace

extern "C" {

Store* unbraid_store_open(
    const char* host, uint16_t port, bool is_server, const char* prefix, int64_t timeout_ms, char** error) {
  return guarded(error, [&]() -> Store* {
    if (!std::getenv("TORCH_CPP_LOG_LEVEL")) {
      FLAGS_caffe2_log_level = kFatal;
    }
    c10d::TCPStoreOptions options;
    options.port = port;
    options.isServer = is_server;
    options.waitWorkers = false;
    options.timeout = milliseconds(timeout_ms);
    auto tcp = c10::make_intrusive<c10d::TCPStore>(host, options);
    return new Store{tcp, c10::make_intrusive<c10d::PrefixStore>(prefix, tcp)};
  });
}

uint16_t unbraid_store_port(const Store* store) {
  return store->tcp->getPort();
}

bool unbraid_store_set(Store* store, const char* key, const uint8_t* value, size_t length, char** error) {
  return guarded(error, [&] {
    store->keys->set(key, std::vector<uint8_t>(value, value + length));
    return true;
  });
}

bool unbraid_store_has(Store* store, const char* key, char** error) {
  return guarded(error, [&] { return store->keys->check({key}); });
}

// The value of a key that is there, for the caller to free; its length in `length`.
uint8_t* unbraid_store_get(Store* store, const char* key, size_t* length, char** error) {
  return guarded(error, [&]() -> uint8_t* {
    const auto value = store->keys->get(key);
    auto* copy = static_cast<uint8_t*>(std::malloc(value.size() + 1));
    std::memcpy(copy, value.data(), value.size());
    *length = value.size();
    return copy;
  });
}

// 1 for the first caller, 2 for the second.
int64_t unbraid_store_count(Store* store, const char* key, char** error) {
  return guarded(error, [&] { return store->keys->add(key, 1); });
}

void unbraid_store_close(Store* store) {
  delete store;
}

// `interface`: name of a network interface, or null for that of `host`; both null for that of the machine's name.
Group* unbraid_group_open(
    Store* store, int rank, int size, const char* interface, const char* host, int64_t timeout_ms, char** error) {
  return guarded(error, [&]() -> Group* {
    auto options = c10d::ProcessGroupGloo::Options::create(milliseconds(timeout_ms));
    options->devices.push_back(
        interface ? c10d::ProcessGroupGloo::createDeviceForInterface(interface)
        : host    ? c10d::ProcessGroupGloo::createDeviceForHostname(host)
                  : c10d::ProcessGroupGloo::createDefaultDevice());
    return new Group(c10::make_intrusive<c10d::ProcessGroupGloo>(store->keys, rank, size, options));
  });
}


// Begins to replace a tensor by its sum over all processes.
WorkPointer* unbraid_group_sum(Group* group, const at::Tensor* tensor, char** error) {
  return guarded(error, [&]() -> WorkPointer* {
    auto tensors = one(tensor);
    return new WorkPointer((*group)->allreduce(tensors));
  });
}

// Begins to replace a tensor by that of rank 0.
WorkPointer* unbraid_group_copy(Group* group, const at::Tensor* tensor, char** error) {
  return guarded(error, [&]() -> WorkPointer* {
    auto tensors = one(tensor);
    return new WorkPointer((*group)->broadcast(tensors));
  });
}

// Whether it is done after at most `timeout_ms`.
bool unbraid_work_wait(WorkPointer* work, int64_t timeout_ms, char** error) {
  try {
    (*work)->wait(milliseconds(timeout_ms));
    return true;
  } catch (const std::exception&) {
    if (!(*work)->isCompleted()) {
      return false;
    }
  }
  return guarded(error, [&] { return (*work)->wait(); });
}

void unbraid_work_close(WorkPointer* work) {
  delete work;
}

}  // extern "C"
