#include "genai/core/numerics.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/autocast_mode.h>
#include <torch/cuda.h>
#include <torch/version.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include <thread>

#include "genai/base/error.h"

namespace genai {
namespace {

constexpr const char* kCpu = "cpu";

std::string available() {
  std::string text;
  for (const std::string& device : list_devices()) text += (text.empty() ? "" : ", ") + device;
  return text;
}

}  // namespace

const EnumNames<Precision> kPrecisionNames = {{Precision::automatic, "auto"},
                                              {Precision::float32, "float32"},
                                              {Precision::bfloat16, "bfloat16"}};
const EnumNames<Layout> kLayoutNames = {{Layout::automatic, "auto"},
                                        {Layout::contiguous, "contiguous"},
                                        {Layout::channels_last, "channels-last"}};

std::vector<std::string> list_devices() {
  std::vector<std::string> devices{kCpu};
  const int gpus = torch::cuda::is_available() ? static_cast<int>(torch::cuda::device_count()) : 0;
  for (int i = 0; i < gpus; ++i) {
    devices.push_back(concat("cuda:", i));
  }
  return devices;
}

std::string check_device(const std::string& name) {
  if (name == kCpu) return name;
  const bool numbered = name.rfind("cuda:", 0) == 0 && name.size() > 5 && name.size() < 9 &&
                        name.find_first_not_of("0123456789", 5) == std::string::npos;
  if (name != "cuda" && !numbered) {
    fail(ErrorKind::device, "unknown device '", name, "'; expected auto, cpu, cuda or cuda:N");
  }
  const int index = numbered ? std::stoi(name.substr(5)) : 0;
  if (!torch::cuda::is_available() || index >= static_cast<int>(torch::cuda::device_count())) {
    fail(ErrorKind::device, "device '", name, "' is not available; this machine and this build of ",
         "LibTorch ", TORCH_VERSION, " have: ", available());
  }
  return concat("cuda:", index);
}

bool has_fast_bfloat16(at::Device device) {
  if (device.is_cuda()) return true;
#if defined(__x86_64__)
  // Intel SDM, CPUID leaf 7: AMX-BF16 is bit 22 of EDX, AVX512-BF16 bit 5 of EAX in sub-leaf 1.
  // (LibTorch's own questions about the CPU change from release to release.)
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  if (__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) && (edx >> 22 & 1)) return true;
  if (__get_cpuid_count(7, 1, &eax, &ebx, &ecx, &edx) && (eax >> 5 & 1)) return true;
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
  at::set_num_threads(static_cast<int>(numerics.threads));
  numerics.cpu = at::get_cpu_capability();
  numerics.libtorch = TORCH_VERSION;
  return numerics;
}

std::string adopt_numerics(const Numerics& numerics) {
  check_device(numerics.device);
  at::set_num_threads(static_cast<int>(numerics.threads));
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
