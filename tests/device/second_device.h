// A device beside the CPU on every machine: under the name of one that LibTorch knows and no build
// of ours has (hpu), on the host's memory, its operations computed by the CPU's. Tensors of both
// must not meet, as on a GPU, and what a GPU would make the host wait for is counted. Included by
// one file of a program.
#pragma once
#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <ATen/detail/HPUHooksInterface.h>
#include <ATen/native/CPUFallback.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <torch/library.h>

#include <atomic>
#include <cstdlib>
#include <mutex>
#include <set>
#include <string>

namespace genai::second_device {

inline constexpr auto kType = c10::DeviceType::HPU;
inline const at::Device kDevice(kType, 0);

// ---- What a GPU would wait for

/// Operations whose result's shape or value the host needs.
inline const std::set<std::string> kWaiting = {
    "aten::nonzero",           "aten::masked_select", "aten::_unique", "aten::_unique2",
    "aten::unique_dim",        "aten::bincount",      "aten::equal",   "aten::_local_scalar_dense",
    "aten::repeat_interleave", "aten::is_set_to"};

/// Operations that a GPU refuses where the same bits are wanted each time (LibTorch's list of
/// operations without a deterministic implementation for CUDA, those that networks may use).
inline const std::set<std::string> kRefused = {"aten::upsample_bilinear2d_backward",
                                               "aten::upsample_bicubic2d_backward",
                                               "aten::upsample_linear1d_backward",
                                               "aten::grid_sampler_2d_backward",
                                               "aten::_adaptive_avg_pool2d_backward",
                                               "aten::adaptive_max_pool2d_backward",
                                               "aten::reflection_pad2d_backward",
                                               "aten::replication_pad2d_backward",
                                               "aten::histc",
                                               "aten::kthvalue",
                                               "aten::median",
                                               "aten::put_"};

/// Waits since the program began, and what the last ones were for.
struct Waits {
  std::mutex lock;
  int64_t count = 0;
  std::map<std::string, int64_t> names;
};
inline Waits& waits() {
  static Waits all;
  return all;
}
inline void wait_for(const std::string& what) {
  const std::lock_guard guard(waits().lock);
  ++waits().count;
  ++waits().names[what];
}

/// While one lives, this thread computes an operation on the CPU: copies are not transfers.
inline thread_local int computing = 0;
struct Computing {
  Computing() { ++computing; }
  ~Computing() { --computing; }
};

// ---- Memory

struct Memory : c10::Allocator {
  c10::DataPtr allocate(size_t bytes) override {
    void* data = bytes ? std::malloc(bytes) : nullptr;
    // What nobody wrote is not a number.
    if (data) std::memset(data, 0xff, bytes);
    return {data, data, &std::free, kDevice};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &std::free; }
  void copy_data(void* to, const void* from, size_t bytes) const override {
    std::memcpy(to, from, bytes);
  }
};
inline Memory memory;
REGISTER_ALLOCATOR(kType, &memory)

struct Guard : c10::impl::NoOpDeviceGuardImpl<kType> {
  c10::Device exchangeDevice(c10::Device) const override { return kDevice; }
  c10::Device getDevice() const override { return kDevice; }
  c10::Stream getStream(c10::Device) const noexcept override { return stream(); }
  c10::Stream exchangeStream(c10::Stream) const noexcept override { return stream(); }
  static c10::Stream stream() { return c10::Stream(c10::Stream::DEFAULT, kDevice); }
};
C10_REGISTER_GUARD_IMPL(HPU, Guard)

struct HPUHooks : at::HPUHooksInterface {
  explicit HPUHooks(at::HPUHooksArgs) {}
  void init() const override {}
  bool hasHPU() const override { return !at::detail::getCUDAHooks().hasCUDART(); }  // one alone
  bool isBuilt() const override { return hasHPU(); }
  bool isAvailable() const override { return hasHPU(); }
  bool hasPrimaryContext(c10::DeviceIndex) const override { return true; }
  at::Device getDeviceFromPtr(void*) const override { return kDevice; }
  c10::DeviceIndex deviceCount() const override { return 1; }
  c10::DeviceIndex getCurrentDevice() const override { return 0; }
  const at::Generator& getDefaultGenerator(c10::DeviceIndex) const override {
    static const at::Generator generator = at::detail::createCPUGenerator();
    return generator;
  }
};

// ---- Operations

/// A tensor of the CPU on the same memory.
inline at::Tensor on_cpu(const at::Tensor& t) {
  if (!t.defined() || t.is_cpu()) return t;
  return at::from_blob(
      t.data_ptr(), t.sizes(), t.strides(), [t](void*) {}, at::dtype(t.dtype()));
}

inline at::Tensor empty(c10::SymIntArrayRef size, std::optional<at::ScalarType> type,
                        std::optional<at::Layout>, std::optional<at::Device>, std::optional<bool>,
                        std::optional<at::MemoryFormat> format) {
  return at::detail::empty_generic(C10_AS_INTARRAYREF_SLOW(size), &memory,
                                   c10::DispatchKeySet(c10::DispatchKey::HPU),
                                   c10::dtype_or_default(type), format);
}

inline at::Tensor empty_strided(c10::SymIntArrayRef size, c10::SymIntArrayRef stride,
                                std::optional<at::ScalarType> type, std::optional<at::Layout>,
                                std::optional<at::Device>, std::optional<bool>) {
  return at::detail::empty_strided_generic(
      C10_AS_INTARRAYREF_SLOW(size), C10_AS_INTARRAYREF_SLOW(stride), &memory,
      c10::DispatchKeySet(c10::DispatchKey::HPU), c10::dtype_or_default(type));
}

inline at::Tensor as_strided(const at::Tensor& self, c10::SymIntArrayRef size,
                             c10::SymIntArrayRef stride, std::optional<c10::SymInt> offset) {
  return at::native::as_strided_tensorimpl(
      self, C10_AS_INTARRAYREF_SLOW(size), C10_AS_INTARRAYREF_SLOW(stride),
      offset ? std::optional<int64_t>(offset->expect_int()) : std::nullopt);
}

inline at::Tensor view(const at::Tensor& self, c10::SymIntArrayRef size) {
  return at::native::view(self, C10_AS_INTARRAYREF_SLOW(size));
}

inline at::Tensor reshape_alias(const at::Tensor& self, c10::SymIntArrayRef size,
                                c10::SymIntArrayRef stride) {
  return at::native::_reshape_alias(self, C10_AS_INTARRAYREF_SLOW(size),
                                    C10_AS_INTARRAYREF_SLOW(stride));
}

inline const at::Tensor& resize(const at::Tensor& self, c10::SymIntArrayRef size,
                                std::optional<at::MemoryFormat>) {
  const auto sizes = C10_AS_INTARRAYREF_SLOW(size);
  auto* tensor = self.unsafeGetTensorImpl();
  const auto bytes = static_cast<size_t>(c10::multiply_integers(sizes)) * self.itemsize();
  if (bytes > self.storage().nbytes()) {
    tensor->unsafe_storage().set_data_ptr_noswap(memory.allocate(bytes));
    tensor->unsafe_storage().set_nbytes(bytes);
  }
  tensor->set_sizes_contiguous(sizes);
  return self;
}

inline at::Tensor copy_from(const at::Tensor& from, const at::Tensor& to, bool non_blocking) {
  if (!computing && from.device() != to.device() &&
      !(to.device().type() == kType && non_blocking)) {
    wait_for(to.is_cpu() ? "a copy back to the CPU" : "a copy from the CPU that is waited for");
  }
  on_cpu(to).copy_(on_cpu(from));
  return to;
}

inline at::Tensor copy_from_and_resize(const at::Tensor& from, const at::Tensor& to) {
  if (to.sizes() != from.sizes()) to.resize_(from.sizes());
  return copy_from(from, to, false);
}

inline at::Scalar local_scalar_dense(const at::Tensor& self) {
  if (!computing) wait_for("a number that the host asks for (.item())");
  return on_cpu(self).item();
}

inline at::Tensor to_here(const at::Tensor& t) {
  return t.defined() ? t.to(kDevice) : t;
}

inline at::Tensor convolution(const at::Tensor& input, const at::Tensor& weight,
                              const std::optional<at::Tensor>& bias, c10::SymIntArrayRef stride,
                              c10::SymIntArrayRef padding, c10::SymIntArrayRef dilation,
                              bool transposed, c10::SymIntArrayRef output_padding,
                              // NOLINTNEXTLINE(performance-unnecessary-value-param): LibTorch's
                              c10::SymInt groups) {
  const Computing here;
  const at::Tensor b = bias.value_or(at::Tensor());
  return at::convolution(on_cpu(input), on_cpu(weight), on_cpu(b), C10_AS_INTARRAYREF_SLOW(stride),
                         C10_AS_INTARRAYREF_SLOW(padding), C10_AS_INTARRAYREF_SLOW(dilation),
                         transposed, C10_AS_INTARRAYREF_SLOW(output_padding), groups.expect_int())
      .to(kDevice);
}

inline std::tuple<at::Tensor, at::Tensor, at::Tensor> convolution_backward(
    const at::Tensor& slopes, const at::Tensor& input, const at::Tensor& weight,
    c10::SymIntArrayRef stride, c10::SymIntArrayRef padding, c10::SymIntArrayRef dilation,
    bool transposed, c10::SymIntArrayRef output_padding,
    c10::SymInt groups,  // NOLINT(performance-unnecessary-value-param)
    std::array<bool, 3> wanted) {
  const Computing here;
  const int64_t channels = slopes.size(1);
  const auto [a, b, c] = at::convolution_backward(
      on_cpu(slopes), on_cpu(input), on_cpu(weight), at::IntArrayRef{channels},
      C10_AS_INTARRAYREF_SLOW(stride), C10_AS_INTARRAYREF_SLOW(padding),
      C10_AS_INTARRAYREF_SLOW(dilation), transposed, C10_AS_INTARRAYREF_SLOW(output_padding),
      groups.expect_int(), wanted);
  return {to_here(a), to_here(b), to_here(c)};
}

/// Its schema does not say that the running statistics are written.
inline std::tuple<at::Tensor, at::Tensor, at::Tensor> batch_norm(
    const at::Tensor& input, const std::optional<at::Tensor>& weight,
    const std::optional<at::Tensor>& bias, const std::optional<at::Tensor>& mean,
    const std::optional<at::Tensor>& variance, bool training, double momentum, double epsilon) {
  const Computing here;
  const auto cpu = [](const std::optional<at::Tensor>& t) {
    return on_cpu(t.value_or(at::Tensor()));
  };
  const auto [a, b, c] = at::native_batch_norm(on_cpu(input), cpu(weight), cpu(bias), cpu(mean),
                                               cpu(variance), training, momentum, epsilon);
  return {to_here(a), to_here(b), to_here(c)};
}

/// Everything else: as the CPU does it, if all that has a size is on this device.
inline void on_the_cpu(const c10::OperatorHandle& op, torch::jit::Stack* stack) {
  const std::string name = op.schema().name();
  if (!computing) {
    if (kWaiting.count(name)) wait_for(name);
    TORCH_CHECK(!kRefused.count(name), name, " has no deterministic implementation on a GPU");
    const auto check = [&](const at::Tensor& t) {
      if (!t.defined() || t.device().type() == kType || t.dim() == 0) return;
      TORCH_CHECK(false, name, ": expected all tensors on the device, found one on ", t.device(),
                  " of sizes ", t.sizes());
    };
    for (const c10::IValue& argument : torch::jit::last(stack, op.schema().arguments().size())) {
      if (argument.isTensor()) check(argument.toTensor());
      if (argument.isTensorList()) {
        for (const at::Tensor& t : argument.toTensorVector()) check(t);
      }
      if (argument.isOptionalTensorList()) {
        for (const std::optional<at::Tensor>& t : argument.toOptionalTensorVector()) {
          if (t) check(*t);
        }
      }
    }
  }
  const Computing here;
  at::native::cpu_fallback(op, stack);
}

TORCH_LIBRARY_IMPL(aten, HPU, library) {
  library.impl("empty.memory_format", empty);
  library.impl("empty_strided", empty_strided);
  library.impl("as_strided", as_strided);
  library.impl("view", view);
  library.impl("_reshape_alias", reshape_alias);
  library.impl("resize_", resize);
  library.impl("_copy_from", copy_from);
  library.impl("_copy_from_and_resize", copy_from_and_resize);
  library.impl("_local_scalar_dense", local_scalar_dense);
  library.impl("native_batch_norm", batch_norm);
  library.impl("convolution_overrideable", convolution);
  library.impl("convolution_backward_overrideable", convolution_backward);
}

TORCH_LIBRARY_IMPL(_, HPU, library) {
  library.fallback(torch::CppFunction::makeFromBoxedFunction<&on_the_cpu>());
}

}  // namespace genai::second_device

namespace at {
using genai::second_device::HPUHooks;
REGISTER_HPU_HOOKS(HPUHooks);
}  // namespace at
