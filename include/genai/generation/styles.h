// What the styles of a generator do, to look at: images of two samples' styles, and the directions
// in which styles change images most.
#pragma once
#include "genai/generation/generate.h"

namespace genai {

// ---- Mixing: T. Karras et al., "A style-based generator architecture for generative adversarial
// networks" (StyleGAN), 2019, section 3.1 and figure 3.

/// Of `images.count` samples A and as many samples B, whose numbers follow.
struct MixRequest {
  ImageRequest images;  ///< at most 64 of each
  int64_t from = -1;    ///< the layer from which B rules: 0 (everywhere) to the number of layers
                        ///< (nowhere); -1: half of them are A's, one at least
};

struct Mix {
  Tensor rows, columns;  ///< uint8 [N, C, H, W]: the samples A and B, as of generate_items
  Tensor cells;          ///< uint8 [N, N, C, H, W]: A's noise, its styles below `from`, B's above
};

/// -1 filled in. Throws Error{usage} when the model has no styles (saying which have), or for a
/// request that does not fit it.
MixRequest resolve_request(const LoadedModel& loaded, MixRequest request);

/// Throws what resolve_request and generate_items do.
Mix find_mix(const LoadedModel& loaded, const MixRequest& request);

/// A to the left, B above. The request is resolved.
/// @param scale  whole-pixel enlargement; of draw_mix at least 1
Image draw_mix(const Mix& mix, const MixRequest& request, int64_t scale);
/// A scale so that small pictures are seen, unless one is given (not 0).
int64_t mix_scale(const MixRequest& request, int64_t scale, const DataInfo& info);

// ---- Directions: Y. Shen, B. Zhou, "Closed-form factorization of latent semantics in GANs"
// (SeFa), 2021, equations 3 and 4.

/// Directions of a space of styles, the one that changes most first.
struct Factorization {
  Tensor directions;   ///< double [width, width]: orthonormal rows, their largest numbers positive
  Tensor eigenvalues;  ///< double [width], falling: how much a step changes, squared
};

/// The eigenvectors of A^T A, A = `matrix` [channels, width].
Factorization factorize(const Tensor& matrix);

/// One sample, moved along the first directions.
struct DirectionsRequest {
  ImageRequest images;     ///< count 1
  int64_t directions = 5;  ///< 1 to the numbers of a style
  double strength = 3;     ///< the farthest, in standard deviations of the styles (without
                           ///< sampling options, of the sample's class) along the direction
  int64_t frames = 7;      ///< odd: from -strength over the sample itself to +strength
  int64_t first_layer = 0, last_layer = -1;  ///< that are factorized and moved; -1: the last
};

struct Directions {
  Tensor pictures;    ///< uint8 [directions, frames, C, H, W]
  Tensor shares;      ///< double [directions]: of the sum of all eigenvalues
  Tensor deviations;  ///< float [directions]: the standard deviations that are the unit
};

/// The last layer filled in. Throws as for mixing.
DirectionsRequest resolve_request(const LoadedModel& loaded, DirectionsRequest request);

/// Throws what resolve_request and generate_items do.
Directions find_directions(const LoadedModel& loaded, const DirectionsRequest& request);

/// How directions are drawn.
struct DirectionsLayout {
  bool strip = true;  ///< one picture: a row for each direction; else pictures of all of them that
                      ///< move from -strength to +strength and back, 2 frames - 2 in all
  int64_t scale = 0;  ///< whole-pixel enlargement; 0: so that small pictures are seen
};

/// The scale filled in.
DirectionsLayout resolve_layout(DirectionsLayout layout, const DirectionsRequest& request,
                                const DataInfo& info);

/// Request and layout are resolved.
std::vector<Image> draw_directions(const Directions& directions, const DirectionsRequest& request,
                                   const DirectionsLayout& layout);

// ---- Provenance

/// What makes the same pictures again, of resolved requests. ("count" of a mix is that of all its
/// samples, A's and B's.)
/// @param frame  of the picture, when it is one of draw_directions' alone
Json mix_json(const LoadedModel& loaded, const MixRequest& request, int64_t scale);
Json directions_json(const LoadedModel& loaded, const DirectionsRequest& request,
                     const DirectionsLayout& layout, int64_t frame = -1);

/// The pictures of such a request. Throws Json::exception and Error{usage} for others.
std::vector<Image> draw_mix_again(const LoadedModel& loaded, const Json& request);
std::vector<Image> draw_directions_again(const LoadedModel& loaded, const Json& request);

}  // namespace genai
