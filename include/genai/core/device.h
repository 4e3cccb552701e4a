// Work on a GPU beside the host: numbers on their way to it, an order of operations of its own, and
// operations that are recorded once and repeated. On a CPU all of it is the plain thing.
#pragma once
#include <ATen/core/Tensor.h>
#include <c10/core/TensorOptions.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace genai {

/// Why no GPU can be used; empty where one can.
std::string why_no_gpu();

/// "NVIDIA H100 80GB HBM3", or empty where the build cannot tell.
std::string gpu_name(at::Device device);

/// Where the host writes numbers for a device: of a GPU, memory that it can read by itself, so that
/// `to(device, /*non_blocking=*/true)` does not wait.
at::TensorOptions host_options(at::ScalarType type, at::Device device);

/// The numbers on the device, as int64; the host does not wait for them to arrive.
at::Tensor to_device(const std::vector<int64_t>& numbers, at::Device device);

/// While it lives, the work of this thread on the GPU is a stream of its own, as recording demands;
/// what was begun before has ended.
class OwnStream {
 public:
  explicit OwnStream(at::Device device);
  ~OwnStream();
  OwnStream(const OwnStream&) = delete;

 private:
  struct Guard;
  std::unique_ptr<Guard> guard_;
};

/// The same operations on the same memory, again and again. A small network's step is hundreds of
/// operations that a GPU computes faster than a host can ask for them one by one; recorded as a
/// CUDA graph it asks once for all.
class Repeated {
 public:
  /// @param record  false: every operation is asked for each time, on a GPU too
  explicit Repeated(at::Device device, bool record = true);
  ~Repeated();
  Repeated(Repeated&&) noexcept;

  /// Does the work. On a GPU, inside an OwnStream, the first two times as it stands; the third time
  /// it is recorded, and from then on the recording is repeated and `work` is not called. So it may
  /// read and write only tensors that stay where they are, must not wait for a result and must not
  /// depend on numbers of the host that change.
  /// Throws Error{device} for work that cannot be recorded.
  void operator()(const std::function<void()>& work);

 private:
  struct Recording;
  at::Device device_;
  bool record_;
  int calls_ = 0;
  std::unique_ptr<Recording> recording_;
};

/// A function of tensors, recorded as Repeated for each combination of their shapes.
class RepeatedFunction {
 public:
  using Function = std::function<at::Tensor(const std::vector<at::Tensor>&)>;
  /// @param inputs  some may be undefined
  /// @param f       what is computed, always the same; not asked once it is recorded
  /// Nothing is recorded where gradients may be wanted.
  at::Tensor operator()(const std::vector<at::Tensor>& inputs, const Function& f);

 private:
  struct Call {
    Repeated repeated;
    std::vector<at::Tensor> inputs;
    at::Tensor output;
  };
  std::map<std::vector<int64_t>, Call> calls_;
};

}  // namespace genai
