// Where and how numbers are computed: device, precision, threads, memory layout. Asked for once,
// resolved once, stored in the run, never resolved again.
#pragma once
#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

#include "genai/base/fields.h"
#include "genai/base/json.h"

namespace genai {

enum class Precision {
  automatic,
  float32,
  tf32,      ///< CUDA: products of numbers rounded to 10 bits of fraction, summed in float32
  bfloat16,  ///< products of numbers rounded to 7 bits of fraction, summed in float32
};
extern const EnumNames<Precision> kPrecisionNames;

enum class Layout { automatic, contiguous, channels_last };
extern const EnumNames<Layout> kLayoutNames;

inline constexpr int64_t kMostThreads = 1024;

/// What a user asks for.
struct NumericsRequest {
  std::string device = "auto";
  Precision precision = Precision::automatic;
  Layout layout = Layout::automatic;
  int64_t threads = 0;  ///< 0: all cores
  bool graph = true;    ///< CUDA: steps are recorded and repeated (core/device.h); same bits
};

/// What it came to; equal Numerics on equal builds give equal bits.
struct Numerics {
  std::string device = "cpu";  ///< "cpu", "cuda:0"
  Precision precision = Precision::float32;
  Layout layout = Layout::contiguous;
  int64_t threads = 1;
  std::string cpu;       ///< code paths: "AVX2", "AVX512"
  std::string libtorch;  ///< version

  at::Device torch_device() const { return at::Device(device); }
};

/// Threads that the calling thread computes with from now on; other threads keep theirs, so that
/// jobs run beside each other.
void set_threads(int64_t threads);

/// Gives the calling thread back the number that it has now.
class KeepThreads {
 public:
  KeepThreads();
  ~KeepThreads();
  KeepThreads(const KeepThreads&) = delete;

 private:
  int64_t threads_;
};

/// Sets the threads of the calling thread and returns what applies from now on.
/// Throws Error{device} for a device that does not exist, naming those that do.
Numerics resolve_numerics(const NumericsRequest& request);

/// "cuda" -> "cuda:0"; throws Error{device} naming what exists when there is no such device.
std::string check_device(const std::string& name);

/// Takes up the settings of a stored run: sets the threads as well, checks that the device exists.
/// A warning text for what cannot be taken up (another CPU type or build), empty if nothing.
std::string adopt_numerics(const Numerics& numerics);

Json to_json(const Numerics& numerics);
/// Throws Error{data} for what no run of ours stores.
Numerics numerics_from_json(const Json& json);

/// "cpu", "cuda:0 (NVIDIA H200)", ...
std::vector<std::string> list_devices();

/// True where training is faster with products in bfloat16: by tensor cores or AMX. AVX512-BF16
/// alone is no faster than float32, and loses to our kernels, which are for float32
/// (docs/log.md, "bfloat16 without AMX").
bool has_fast_bfloat16(at::Device device);

/// Inside its scope, convolutions and matrix products compute in bfloat16 when precision says so;
/// parameters and sums stay float32.
class MixedPrecision {
 public:
  MixedPrecision(Precision precision, at::Device device);
  ~MixedPrecision();
  MixedPrecision(const MixedPrecision&) = delete;

 private:
  bool on_;
  at::DeviceType device_;
};

}  // namespace genai
