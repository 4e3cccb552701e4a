#include "genai/core/numerics.h"

#include <ATen/ATen.h>
#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/autocast_mode.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <torch/cuda.h>
#include <torch/version.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include <omp.h>

#include <cstdlib>
#include <mutex>
#include <thread>

#include "genai/base/error.h"
#include "genai/core/device.h"

/// MKL's number of threads for the calling thread alone; null in builds without MKL.
extern "C" __attribute__((weak)) int MKL_Set_Num_Threads_Local(int threads);

namespace genai {
namespace {

constexpr const char* kCpu = "cpu";

std::string available() {
  std::string text;
  for (const std::string& device : list_devices()) text += (text.empty() ? "" : ", ") + device;
  return text;
}

/// A device that the program itself registered with LibTorch under this name, as tests do.
bool is_brought_along(const std::string& name) {
  return name == "hpu:0" && c10::impl::hasDeviceGuardImpl(at::kHPU);
}

/// Functions of MKL's vector library choose their code at their first call. Where that is one of
/// two threads at once, they may choose differently and round differently ever after: so one thread
/// calls each of them first.
void choose_vector_functions() {
  for (const at::ScalarType type : {at::kFloat, at::kDouble}) {
    const at::Tensor x = at::full({16}, 0.5, type);
    for (const auto function : {at::exp, at::expm1, at::log, at::log1p, at::tanh, at::sin, at::cos,
                                at::tan, at::atan, at::erf}) {
      function(x);
    }
  }
}

/// The GPU's arithmetic is a choice of the whole process: jobs beside each other must agree.
void apply_to_gpu(const Numerics& numerics) {
  // Equal bits from run to run: cuBLAS has to be told before its first use, by this variable alone.
  setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8", /*replace=*/0);
  at::Context& context = at::globalContext();
  context.setDeterministicAlgorithms(true, /*warn_only=*/false);
  context.setDeterministicFillUninitializedMemory(false);
  context.setDeterministicCuDNN(true);
  context.setBenchmarkCuDNN(false);
  // Convolutions round to tf32 unless they are told not to; float32 means float32.
  context.setAllowTF32CuBLAS(numerics.precision == Precision::tf32);
  context.setAllowTF32CuDNN(numerics.precision == Precision::tf32);
}

/// From now on this thread computes as the numerics say.
void apply(const Numerics& numerics) {
  static std::once_flag chosen;
  std::call_once(chosen, choose_vector_functions);
  set_threads(numerics.threads);
  if (numerics.torch_device().is_cuda()) apply_to_gpu(numerics);
}

}  // namespace

const EnumNames<Precision> kPrecisionNames = {{Precision::automatic, "auto"},
                                              {Precision::float32, "float32"},
                                              {Precision::tf32, "tf32"},
                                              {Precision::bfloat16, "bfloat16"}};
const EnumNames<Layout> kLayoutNames = {{Layout::automatic, "auto"},
                                        {Layout::contiguous, "contiguous"},
                                        {Layout::channels_last, "channels-last"}};

void set_threads(int64_t threads) {
  const int count = static_cast<int>(threads);
  // OpenMP's number is one of each thread, MKL's of the process. LibTorch sets both to the number
  // that was set first before a thread computes for the first time, once in its own code and once
  // in what its headers bring into ours: that shall have happened.
  static std::once_flag first;
  std::call_once(first, [&] { at::set_num_threads(count); });
  at::get_num_threads();
  at::internal::lazy_init_num_threads();
  omp_set_num_threads(count);
  if (MKL_Set_Num_Threads_Local) MKL_Set_Num_Threads_Local(count);
}

KeepThreads::KeepThreads() : threads_(at::get_num_threads()) {}
KeepThreads::~KeepThreads() {
  set_threads(threads_);
}

std::vector<std::string> list_devices() {
  std::vector<std::string> devices{kCpu};
  const int gpus = torch::cuda::is_available() ? static_cast<int>(torch::cuda::device_count()) : 0;
  for (int i = 0; i < gpus; ++i) {
    const std::string gpu = gpu_name(at::Device(at::kCUDA, static_cast<c10::DeviceIndex>(i)));
    devices.push_back(concat("cuda:", i, gpu.empty() ? "" : " (" + gpu + ")"));
  }
  return devices;
}

std::string check_device(const std::string& name) {
  if (name == kCpu || is_brought_along(name)) return name;
  const bool numbered = name.rfind("cuda:", 0) == 0 && name.size() > 5 && name.size() < 9 &&
                        name.find_first_not_of("0123456789", 5) == std::string::npos;
  if (name != "cuda" && !numbered) {
    fail(ErrorKind::device, "unknown device '", name, "'; expected auto, cpu, cuda or cuda:N");
  }
  const int index = numbered ? std::stoi(name.substr(5)) : 0;
  const std::string why = why_no_gpu();
  if (!why.empty() || index >= static_cast<int>(torch::cuda::device_count())) {
    fail(ErrorKind::device, "device '", name, "' is not available; this machine and this build of ",
         "LibTorch ", TORCH_VERSION, " have: ", available(), why.empty() ? "" : "; " + why);
  }
  const at::Device device(at::kCUDA, static_cast<c10::DeviceIndex>(index));
  try {  // a first number shows what else may be in the way: no code for this GPU, no memory left
    at::ones({1}, device).sum().item<float>();
  } catch (const c10::Error& error) {
    const std::string reason = error.what_without_backtrace();
    fail(ErrorKind::device, "device '", name,
         "' cannot be used: ", reason.substr(0, reason.find('\n')));
  }
  return concat("cuda:", index);
}

bool has_fast_bfloat16(at::Device device) {
  if (device.is_cuda()) return true;
#if defined(__x86_64__)
  // Intel SDM, CPUID leaf 7: AMX-BF16 is bit 22 of EDX. (LibTorch's own questions about the CPU
  // change from release to release.)
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  if (__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) && (edx >> 22 & 1)) return true;
#endif
  return false;
}

Numerics resolve_numerics(const NumericsRequest& request) {
  Numerics numerics;
  numerics.device = check_device(
      request.device == "auto" ? (torch::cuda::is_available() ? "cuda" : kCpu) : request.device);
  numerics.precision = request.precision != Precision::automatic    ? request.precision
                       : has_fast_bfloat16(numerics.torch_device()) ? Precision::bfloat16
                                                                    : Precision::float32;
  numerics.layout = request.layout == Layout::automatic ? Layout::contiguous : request.layout;
  numerics.threads = request.threads > 0
                         ? request.threads
                         : static_cast<int64_t>(std::max(1u, std::thread::hardware_concurrency()));
  numerics.cpu = at::get_cpu_capability();
  numerics.libtorch = TORCH_VERSION;
  if (numerics.precision == Precision::tf32 && !numerics.torch_device().is_cuda()) {
    fail(ErrorKind::device, "training.precision: tf32 is arithmetic of CUDA devices, found ",
         numerics.device, "; expected float32 or bfloat16");
  }
  apply(numerics);
  return numerics;
}

std::string adopt_numerics(const Numerics& numerics) {
  check_device(numerics.device);
  apply(numerics);
  std::string warning;
  if (numerics.cpu != at::get_cpu_capability()) {
    warning = concat("the run was computed with ", numerics.cpu, " code, this machine uses ",
                     at::get_cpu_capability());
  }
  if (numerics.libtorch != TORCH_VERSION) {
    warning += concat(warning.empty() ? "" : "; ", "the run was computed with LibTorch ",
                      numerics.libtorch, ", this is ", TORCH_VERSION);
  }
  return warning.empty() ? "" : warning + ": it continues, but not bit for bit";
}

Json to_json(const Numerics& numerics) {
  return {{"device", numerics.device},
          {"precision", enum_name(kPrecisionNames, numerics.precision)},
          {"layout", enum_name(kLayoutNames, numerics.layout)},
          {"threads", numerics.threads},
          {"cpu", numerics.cpu},
          {"libtorch", numerics.libtorch}};
}

Numerics numerics_from_json(const Json& json) {
  const auto value_of = [](const auto& names, const std::string& text) {
    for (const auto& [value, name] : names) {
      if (name == text) return value;
    }
    fail(ErrorKind::data, "unknown name '", text, "' in the stored numerics");
  };
  Numerics numerics;
  numerics.device = json.at("device").get<std::string>();
  numerics.precision = value_of(kPrecisionNames, json.at("precision").get<std::string>());
  numerics.layout = value_of(kLayoutNames, json.at("layout").get<std::string>());
  numerics.threads = json.at("threads").get<int64_t>();
  if (numerics.threads < 1 || numerics.threads > kMostThreads) {
    fail(ErrorKind::data, "expected 1 to ", kMostThreads, " threads in the stored numerics, found ",
         numerics.threads);
  }
  numerics.cpu = json.at("cpu").get<std::string>();
  numerics.libtorch = json.at("libtorch").get<std::string>();
  return numerics;
}

MixedPrecision::MixedPrecision(Precision precision, at::Device device)
    : on_(precision == Precision::bfloat16), device_(device.type()) {
  if (!on_) return;
  at::autocast::set_autocast_dtype(device_, at::kBFloat16);
  at::autocast::set_autocast_enabled(device_, true);
  at::autocast::increment_nesting();
}

MixedPrecision::~MixedPrecision() {
  if (!on_) return;
  // Without this the bfloat16 copies of the weights outlive the optimizer's step.
  if (at::autocast::decrement_nesting() == 0) at::autocast::clear_cache();
  at::autocast::set_autocast_enabled(device_, false);
}

}  // namespace genai
