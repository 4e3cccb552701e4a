// Lossless coding of images by a VAE: J. Townsend, T. Bird, D. Barber, "Practical lossless
// compression with latent variables using bits back coding", 2019 (BB-ANS).
//
// To code an image x, a latent point z is taken off the stack as if it had been coded with q(z|x);
// then x is coded with p(x|z) and z with the prior. Who decodes takes z and x off and puts z back
// with q(z|x), which gives the bits back that it was made of. So an image costs
//
//   - log p(x|z) - log p(z) + log q(z|x)                on average the negative ELBO (section 2.4)
//
// z lies at the middles of 2^14 cells of equal prior probability in each dimension (section 2.5.1).
// Images are coded in groups, one as large as half of what is there already at most, so that
// no more random bits than one image needs are borrowed to begin with.
//
// What is promised: who decodes finds the distributions of who coded, bit for bit. The networks run
// in double precision, on one thread, with as many rows each time; what they say is rounded much
// more coarsely than two orders of summation differ (logits to 1/64, means to 2^-12, log variances
// to 1/16; it costs less than 10^-3 nats an image), and all that follows is plain arithmetic on
// whole numbers (core/coding_tables.h). With the code paths of `--exact` equal bits need no
// rounding; without them it makes a difference in any of 10^6 images improbable, and the checksum
// tells of it.
#pragma once
#include <memory>
#include <vector>

#include "genai/compression/progress.h"
#include "genai/core/ans.h"
#include "genai/run/load_model.h"

namespace genai {

/// Throws Error{usage} for a model that has no distribution of the values that pixels have, saying
/// which settings give one.
void check_codable(const LoadedModel& loaded);

class LatentCoder {
 public:
  /// The model computes in double precision from then on. Throws what check_codable throws.
  explicit LatentCoder(LoadedModel& loaded);
  ~LatentCoder();

  /// @param images  uint8 [N, C, H, W]; 0 and 255 alone for a model of binary pixels
  void encode(const at::Tensor& images, AnsStack& stack, const CodingProgress& progress = {});
  /// The reverse. Throws Error{data} where the stack ends too early.
  at::Tensor decode(int64_t count, AnsStack& stack, const CodingProgress& progress = {});

 private:
  class Latents;
  class Pixels;
  struct Group {
    int64_t first, count;
  };
  std::vector<Group> groups_of(int64_t count) const;
  at::Tensor padded(const at::Tensor& rows) const;

  int64_t rows_;  // at once
  std::unique_ptr<Latents> latents_;
  std::unique_ptr<Pixels> pixels_;
  std::vector<int64_t> shape_;  // of an image
};

/// The bound of the model itself in bits: the negative ELBO of all images by one draw each, as
/// `evaluate` measures it (nelbo).
double elbo_bits(const LoadedModel& loaded, const at::Tensor& images,
                 const CodingProgress& progress = {});

}  // namespace genai
