// How images are mixed with noise, x = alpha x0 + sigma noise, and the amounts of noise that
// training and sampling go through. Images x0 are in -1..1.
#pragma once
#include <vector>

#include "genai/base/fields.h"
#include "genai/core/tensors.h"

namespace genai {

/// One amount of noise.
struct NoiseLevel {
  double alpha = 1, sigma = 0;
  /// Noise to signal: the sigma of Karras et al. 2022.
  double ratio() const { return sigma / alpha; }
  /// log(alpha / sigma): the lambda of DPM-Solver (C. Lu et al. 2022, section 3.1).
  double half_log_snr() const;
};

enum class Process {
  vp,    ///< alpha^2 + sigma^2 = 1: J. Ho et al., "Denoising diffusion probabilistic models", 2020
  edm,   ///< alpha = 1: T. Karras et al., "Elucidating the design space of diffusion-based
         ///< generative models", 2022
  flow,  ///< alpha = 1 - t, sigma = t: X. Liu et al., "Flow straight and fast", 2022
};
extern const EnumNames<Process> kProcessNames;

/// sigma(t) of the variance-preserving process.
enum class NoiseSchedule {
  linear,   ///< Ho et al. 2020, section 4; its limit for many steps: Y. Song et al., "Score-based
            ///< generative modeling through SDEs", 2021, equation 33
  cosine,   ///< A. Nichol, P. Dhariwal, "Improved DDPM", 2021, equation 17
  sigmoid,  ///< A. Jabri et al., "Scalable adaptive computation", 2022, algorithm 1 (-3, 3, tau 1)
};

struct ProcessConfig {
  Process kind = Process::vp;
  NoiseSchedule schedule = NoiseSchedule::cosine;
  int64_t steps = 0;      ///< vp: number of noise levels T >= 2; 0: a continuum
  double center = 0;      ///< edm: mean of log sigma; flow: mean of logit t (in training)
  double spread = 0;      ///< edm, flow: their standard deviation; 0: t uniform
  double data_std = 0.5;  ///< edm: standard deviation of the images
};
const FieldTable& process_fields();

/// Which of the levels between most noise and none a sampler visits.
enum class Spacing {
  uniform,    ///< equal steps of t
  quadratic,  ///< of the square root of t (J. Song et al., "DDIM", 2021, appendix D.2)
  karras,     ///< of ratio^(1/7) (Karras et al. 2022, equation 5)
  log_snr,    ///< of log(alpha / sigma) (Lu et al. 2022)
};
extern const EnumNames<Spacing> kSpacingNames;

/// Amounts of noise, one for each image of a batch.
struct NoiseLevels {
  Tensor alpha, sigma;  ///< [B], float32
};

/// t in [0, 1]: least to most noise.
class NoiseProcess {
 public:
  /// Throws Error{usage} for settings that do not fit each other.
  explicit NoiseProcess(const ProcessConfig& config);

  Process kind() const { return config_.kind; }
  /// T of a discrete process, else 0.
  int64_t steps() const { return config_.steps; }

  /// t [B]. Between the levels of a discrete process log(sigma / alpha) is interpolated.
  NoiseLevels at(const Tensor& t) const;
  NoiseLevel level(double t) const;  ///< t 0: without noise
  /// The levels of training for numbers [B] uniform in [0, 1).
  NoiseLevels training_levels(const Tensor& uniform) const;

  /// count + 1 levels from most noise to none (sigma = 0), all different. vp is given in the scale
  /// of edm, x / alpha: there the path of a sample is straightest (Karras et al. 2022, section 3).
  /// karras and log_snr keep to ratios from kSmallestRatio to kLargestRatio.
  /// Throws Error{usage} for a count < 1, beyond T, or so large that levels fall together.
  std::vector<NoiseLevel> sampling_levels(Spacing spacing, int64_t count) const;

 private:
  /// log(sigma / alpha) in double.
  Tensor log_ratio(const Tensor& t) const;
  const Tensor& table(at::Device device) const;

  ProcessConfig config_;
  Tensor table_;                 // log(sigma / alpha) of the levels 1 .. T of a discrete process
  mutable Tensor device_table_;  // the same on the device that asked last
};

/// Smallest and largest ratio of noise to signal that karras and log_snr visit in sampling.
/// The largest is that of Karras et al. 2022, table 1; their smallest, 0.002, is a quarter of a
/// step of 8 bits: going there costs two of ten evaluations and changes nothing to be seen.
inline constexpr double kSmallestRatio = 0.02, kLargestRatio = 80;

}  // namespace genai
