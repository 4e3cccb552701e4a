#include "genai/core/device.h"

#include <ATen/ATen.h>
#include <ATen/Context.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <c10/core/GradMode.h>
#include <c10/core/InferenceMode.h>

#include <filesystem>

#include "genai/base/error.h"

#ifdef GENAI_CUDA_GRAPHS
#include <ATen/cuda/CUDAGraph.h>
#include <c10/cuda/CUDAFunctions.h>
#include <c10/cuda/CUDAStream.h>
#if __has_include(<cusparse.h>) && __has_include(<cublas_v2.h>) && \
    __has_include(<cusolverDn.h>) && __has_include(<nv/target>)
#include <ATen/cuda/CUDAContextLight.h>
#define GENAI_GPU_NAMES
#endif
#endif

namespace genai {
namespace {

/// Times that the work is done as it stands: libraries choose their kernels, buffers come to be.
[[maybe_unused]] constexpr int kWarmUp = 2;

}  // namespace

std::string why_no_gpu() {
  namespace fs = std::filesystem;
  if (at::globalContext().hasCUDA()) return "";
  std::error_code error;
  const bool driver = fs::exists("/proc/driver/nvidia/version", error);
  if (!at::detail::getCUDAHooks().hasCUDART()) {
    return concat("this LibTorch is built for the CPU alone",
                  driver
                      ? "; there is a driver for NVIDIA's GPUs: build against a PyTorch with CUDA "
                        "(TORCH_DIR)"
                      : "");
  }
  if (!driver) return "this LibTorch has CUDA, but there is no driver for NVIDIA's GPUs";
  const char* visible = std::getenv("CUDA_VISIBLE_DEVICES");
  if (visible && (!*visible || std::string(visible) == "-1")) {
    return concat("CUDA_VISIBLE_DEVICES is '", visible, "', which hides every GPU");
  }
#ifdef GENAI_CUDA_GRAPHS
  try {
    c10::cuda::device_count_ensure_non_zero();
  } catch (const c10::Error& reason) {
    const std::string text = reason.what_without_backtrace();
    return text.substr(0, text.find('\n'));
  }
#endif
  return "this LibTorch has CUDA and there is a driver, but it finds no GPU";
}

std::string gpu_name([[maybe_unused]] at::Device device) {
#ifdef GENAI_GPU_NAMES
  if (device.is_cuda()) return at::cuda::getDeviceProperties(device.index())->name;
#endif
  return "";
}

at::TensorOptions host_options(at::ScalarType type, at::Device device) {
  return at::dtype(type).pinned_memory(device.is_cuda());
}

at::Tensor to_device(const std::vector<int64_t>& numbers, at::Device device) {
  const at::Tensor host =
      at::empty({static_cast<int64_t>(numbers.size())}, host_options(at::kLong, device));
  std::copy(numbers.begin(), numbers.end(), host.mutable_data_ptr<int64_t>());
  return host.to(device, /*non_blocking=*/true);
}

#ifdef GENAI_CUDA_GRAPHS

struct OwnStream::Guard {
  c10::DeviceIndex device_before;
  c10::cuda::CUDAStream stream_before;
};

OwnStream::OwnStream(at::Device device) {
  if (!device.is_cuda()) return;
  const c10::DeviceIndex before = c10::cuda::current_device();
  c10::cuda::set_device(device.index());
  c10::cuda::device_synchronize();
  guard_ = std::make_unique<Guard>(Guard{before, c10::cuda::getCurrentCUDAStream(device.index())});
  c10::cuda::setCurrentCUDAStream(c10::cuda::getStreamFromPool(false, device.index()));
}

OwnStream::~OwnStream() {
  if (!guard_) return;
  try {  // what comes after works in another order
    c10::cuda::getCurrentCUDAStream(guard_->stream_before.device_index()).synchronize();
    c10::cuda::setCurrentCUDAStream(guard_->stream_before);
    c10::cuda::set_device(guard_->device_before);
  } catch (const std::exception&) {  // the error that ended the work is already on its way
  }
}

namespace {
bool in_own_stream() {
  const auto now = c10::cuda::getCurrentCUDAStream();
  return now != c10::cuda::getDefaultCUDAStream(now.device_index());
}
}  // namespace

struct Repeated::Recording {
  at::cuda::CUDAGraph graph;
};

void Repeated::operator()(const std::function<void()>& work) {
  if (!device_.is_cuda() || !record_ || calls_ < kWarmUp || !in_own_stream()) {
    ++calls_;
    return work();
  }
  if (!recording_) {
    c10::cuda::device_synchronize();
    auto recording = std::make_unique<Recording>();
    recording->graph.capture_begin();
    try {
      work();
    } catch (const c10::OutOfMemoryError&) {
      throw;
    } catch (const std::exception& error) {
      const std::string reason = error.what();
      try {
        recording->graph.capture_end();
      } catch (const std::exception&) {  // the first error says more
      }
      fail(ErrorKind::device, "this work cannot be recorded as a CUDA graph: ", reason);
    }
    recording->graph.capture_end();
    recording_ = std::move(recording);
  }
  recording_->graph.replay();
}

#else  // a build without CUDA: nothing is recorded

namespace {
bool in_own_stream() {
  return false;
}
}  // namespace

struct OwnStream::Guard {};
OwnStream::OwnStream(at::Device) {}
OwnStream::~OwnStream() = default;

struct Repeated::Recording {};

void Repeated::operator()(const std::function<void()>& work) {
  ++calls_;
  work();
}

#endif

at::Tensor RepeatedFunction::operator()(const std::vector<at::Tensor>& inputs, const Function& f) {
  at::Device device = at::kCPU;
  std::vector<int64_t> shapes{c10::InferenceMode::is_enabled()};
  for (const at::Tensor& input : inputs) {
    shapes.push_back(input.defined() ? input.dim() : -1);
    if (!input.defined()) continue;
    shapes.insert(shapes.end(), input.sizes().begin(), input.sizes().end());
    device = input.device();
  }
  if (!device.is_cuda() || !in_own_stream() || c10::GradMode::is_enabled()) return f(inputs);
  Call& call = calls_.try_emplace(shapes, Call{Repeated(device), {}, {}}).first->second;
  if (call.inputs.empty()) {
    for (const at::Tensor& input : inputs) {
      call.inputs.push_back(input.defined() ? input.clone() : input);
    }
  } else {
    for (size_t i = 0; i < inputs.size(); ++i) {
      if (inputs[i].defined()) call.inputs[i].copy_(inputs[i], /*non_blocking=*/true);
    }
  }
  call.repeated([&] { call.output = f(call.inputs); });
  return call.output.clone();
}

Repeated::Repeated(at::Device device, bool record) : device_(device), record_(record) {}
Repeated::~Repeated() = default;
Repeated::Repeated(Repeated&&) noexcept = default;

}  // namespace genai
