#include "genai/generation/styles.h"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

#include <array>
#include <numeric>

#include "genai/base/error.h"
#include "genai/base/figure.h"
#include "genai/base/text.h"
#include "genai/generation/path.h"

namespace genai {
namespace {

constexpr int64_t kMostSources = 64, kMostFrames = 999;
constexpr double kMostStrength = 1000;
/// Styles of which standard deviations are measured.
constexpr int64_t kMeasured = 1024;

/// One style [B, width] for each layer, as render takes them. Each layer's part is contiguous, as
/// it is in `generate`: products of other strides may round differently.
Tensor stacked(const std::vector<Tensor>& layers) {
  return at::stack(layers).transpose(0, 1);
}

std::vector<Tensor> all_layers(const StyleSpace& space, const Tensor& styles) {
  return std::vector<Tensor>(static_cast<size_t>(space.style_layers()), styles);
}

/// What the model makes to bytes.
Tensor pixels_of(const LoadedModel& loaded, const Tensor& made) {
  const Tensor images = loaded.model->inputs().decoded(made);
  if (!images.isfinite().all().item<bool>()) {
    fail(ErrorKind::failure,
         "the model makes pixels that are not numbers (NaN or infinite) of changed styles");
  }
  return quantized(images);
}

Tensor generate(const LoadedModel& loaded, const ImageRequest& request, const MakeChunk& make) {
  return generate_items(loaded, request, make);
}

/// The class that item `row` is told, 0-d; undefined where it is told none.
Tensor label_at(const Tensors& told, int64_t row) {
  const Tensor labels = labels_among(told);
  return labels.defined() ? labels[row] : labels;
}

/// As large as a path of so many rows and columns.
int64_t strip_scale(int64_t rows, int64_t columns, int64_t scale, const DataInfo& info) {
  return resolve_layout(PathLayout{.view = PathView::noisy, .scale = scale}, rows, columns, info)
      .scale;
}

std::string signed_text(double value) {
  return (value > 0 ? "+" : "") + number_text(value, 2);
}

// ---- Directions

/// The way of a moment from the sample, exactly 0 in the middle.
double way(const DirectionsRequest& request, int64_t moment) {
  const int64_t middle = request.frames / 2;
  return request.strength * static_cast<double>(moment - middle) / static_cast<double>(middle);
}

/// The matrices of the request's layers, one below the other.
Tensor layers_matrix(StyleSpace& space, const DirectionsRequest& request) {
  std::vector<Tensor> matrices;
  for (int64_t layer = request.first_layer; layer <= request.last_layer; ++layer) {
    matrices.push_back(space.style_matrix(layer));
  }
  return at::cat(matrices);
}

/// Standard deviations [K] of styles along directions [K, width].
/// @param label  the class of all of them, 0-d; undefined: none
Tensor deviations_along(StyleSpace& space, const Tensor& directions, const Tensor& label) {
  std::vector<int64_t> numbers(kMeasured);
  std::iota(numbers.begin(), numbers.end(), 0);
  const Draw draw(kGenerationSeed, "styles", numbers, directions.device());
  Tensors told;
  if (label.defined()) told[kClass] = label.repeat({kMeasured});
  return space.styles(draw, told, Json::object()).matmul(directions.t()).std(0);
}

/// "1 (34%)": a direction and its share of the eigenvalues.
std::string direction_name(const Directions& directions, int64_t i) {
  return concat(i + 1, " (", number_text(100 * directions.shares[i].item<double>(), 2), "%)");
}

Image draw_strip(const Directions& directions, const DirectionsRequest& request, int64_t scale) {
  Figure figure{
      .rows = request.directions, .columns = request.frames, .scale = scale, .title = "s.d."};
  for (int64_t i = 0; i < request.directions; ++i) {
    figure.row_names.push_back(direction_name(directions, i));
  }
  for (int64_t i = 0; i < request.frames; ++i) {
    figure.column_names.push_back(signed_text(way(request, i)));
  }
  return draw_figure(figure, to_images(directions.pictures.flatten(0, 1)));
}

/// All directions at one moment, as square as can be.
SheetLayout sheet_of(int64_t directions, int64_t scale, int64_t width, int64_t height) {
  return resolve_layout(SheetLayout{.scale = scale}, directions, width, height);
}

Image draw_moment(const Directions& directions, const DirectionsRequest& request, int64_t scale,
                  int64_t moment) {
  const auto images = to_images(directions.pictures.select(1, moment));
  const SheetLayout sheet = sheet_of(request.directions, scale, images[0].width, images[0].height);
  Figure figure{.rows = sheet.rows,
                .columns = sheet.columns,
                .scale = scale,
                .title = signed_text(way(request, moment)) + " s.d."};
  for (int64_t first = 1; first <= request.directions; first += sheet.columns) {
    const int64_t last = std::min(first + sheet.columns - 1, request.directions);
    figure.row_names.push_back(first == last ? concat(first) : concat(first, "-", last));
  }
  return draw_figure(figure, images);
}

}  // namespace

// ---- Mixing

MixRequest resolve_request(const LoadedModel& loaded, MixRequest request) {
  const int64_t layers = loaded.as<StyleSpace>("show mix").style_layers();
  const int64_t count = request.images.count;
  if (count < 1 || count > kMostSources) {
    fail(ErrorKind::usage, "request.count: expected 1 to ", kMostSources,
         " rows and columns, found ", count);
  }
  loaded.as<Generator>("show mix");
  check_request(with_conditions(loaded, request.images), *loaded.model, loaded.manifest.data);
  if (request.from == -1) request.from = std::max<int64_t>(1, layers / 2);
  if (request.from < 0 || request.from > layers) {
    fail(ErrorKind::usage,
         "request.from: expected a layer from 0 (all styles are the column's) to ", layers,
         " (none is), found ", request.from);
  }
  return request;
}

Mix find_mix(const LoadedModel& loaded, const MixRequest& asked) {
  const c10::InferenceMode no_autograd;
  const MixRequest request = resolve_request(loaded, asked);
  auto& space = loaded.as<StyleSpace>("show mix");
  const Json& options = request.images.options;
  ImageRequest after = request.images;
  after.first += after.count;
  Mix mix;
  std::vector<Tensor> of_columns;
  mix.columns = generate(loaded, after,
                         [&](const Draw& draw, const Tensors& told, int64_t first, int64_t count) {
                           const Tensor styles = space.styles(draw, told, options);
                           of_columns.push_back(styles.narrow(0, first, count));
                           return space.render(stacked(all_layers(space, styles)), draw, told);
                         });
  const Tensor others = at::cat(of_columns);  // [N, width]
  std::vector<Tensor> cells;
  mix.rows = generate(
      loaded, request.images,
      [&](const Draw& draw, const Tensors& told, int64_t first, int64_t count) {
        const Tensor styles = space.styles(draw, told, options);
        std::vector<Tensor> layers = all_layers(space, styles), columns;
        for (const Tensor& other : others.unbind(0)) {
          std::fill(layers.begin() + request.from, layers.end(), other.expand_as(styles));
          columns.push_back(
              pixels_of(loaded, space.render(stacked(layers), draw, told)).narrow(0, first, count));
        }
        cells.push_back(at::stack(columns, 1));  // [count, N, C, H, W]
        return space.render(stacked(all_layers(space, styles)), draw, told);
      });
  mix.cells = at::cat(cells);
  return mix;
}

int64_t mix_scale(const MixRequest& request, int64_t scale, const DataInfo& info) {
  return strip_scale(request.images.count + 1, request.images.count + 1, scale, info);
}

Image draw_mix(const Mix& mix, const MixRequest& request, int64_t scale) {
  const int64_t count = mix.rows.size(0), first = request.images.first;
  Figure figure{.rows = count + 1,
                .columns = count + 1,
                .scale = scale,
                .title = concat("b from ", request.from),
                .row_names = {""},
                .column_names = {""}};
  std::vector<Image> cells = to_images(at::zeros_like(mix.columns[0]));
  const auto add = [&](const Tensor& pixels) {
    const auto images = to_images(pixels);
    cells.insert(cells.end(), images.begin(), images.end());
  };
  add(mix.columns);
  for (int64_t i = 0; i < count; ++i) {
    figure.row_names.push_back(concat("a ", first + i));
    figure.column_names.push_back(concat("b ", first + count + i));
    add(mix.rows[i]);
    add(mix.cells[i]);
  }
  return draw_figure(figure, cells);
}

// ---- Directions

Factorization factorize(const Tensor& matrix) {
  // On the CPU in double: nearly equal eigenvalues part only by their last digits.
  const Tensor a = matrix.detach().to(at::kCPU, at::kDouble);
  const auto [values, vectors] = at::linalg_eigh(a.t().matmul(a));  // rising, in columns
  const Tensor rows = vectors.t().flip(0);
  // An eigenvector's sign means nothing; which one comes out should not depend on the library.
  const Tensor largest = rows.gather(1, rows.abs().argmax(1, /*keepdim=*/true));
  return {.directions = rows * largest.sign(), .eigenvalues = values.flip(0)};
}

DirectionsRequest resolve_request(const LoadedModel& loaded, DirectionsRequest request) {
  auto& space = loaded.as<StyleSpace>("show directions");
  loaded.as<Generator>("show directions");
  check_request(with_conditions(loaded, request.images), *loaded.model, loaded.manifest.data);
  if (request.images.count != 1) {
    fail(ErrorKind::usage, "request.count: directions are of one sample, found ",
         request.images.count);
  }
  const int64_t layers = space.style_layers();
  if (request.last_layer == -1) request.last_layer = layers - 1;
  if (request.first_layer < 0 || request.last_layer < request.first_layer ||
      request.last_layer >= layers) {
    fail(ErrorKind::usage, "request.layers: expected layers within 0-", layers - 1, ", found ",
         request.first_layer, "-", request.last_layer);
  }
  const int64_t width = space.style_matrix(0).size(1);
  if (request.directions < 1 || request.directions > width) {
    fail(ErrorKind::usage, "request.directions: expected 1 to ", width,
         " (the numbers of a style), ", "found ", request.directions);
  }
  if (!(request.strength > 0 && request.strength <= kMostStrength)) {
    fail(ErrorKind::usage, "request.strength: expected more than 0 and at most ", kMostStrength,
         " standard deviations, found ", request.strength);
  }
  if (request.frames < 3 || request.frames > kMostFrames || request.frames % 2 == 0) {
    fail(ErrorKind::usage, "request.frames: expected an odd number from 3 to ", kMostFrames,
         ", so that the sample itself is in the middle; found ", request.frames);
  }
  return request;
}

Directions find_directions(const LoadedModel& loaded, const DirectionsRequest& asked) {
  const c10::InferenceMode no_autograd;
  const DirectionsRequest request = resolve_request(loaded, asked);
  auto& space = loaded.as<StyleSpace>("show directions");
  const Factorization found = factorize(layers_matrix(space, request));
  const Tensor directions = found.directions.narrow(0, 0, request.directions)
                                .to(loaded.device, at::kFloat);  // [K, width]
  Directions result{
      .pictures = {},
      .shares = found.eigenvalues.narrow(0, 0, request.directions) / found.eigenvalues.sum(),
      .deviations = {}};
  generate(loaded, request.images,
           [&](const Draw& draw, const Tensors& told, int64_t first, int64_t count) {
             const Tensor styles = space.styles(draw, told, request.images.options);
             std::vector<Tensor> layers = all_layers(space, styles), rows;
             const Tensor sample = space.render(stacked(layers), draw, told);
             result.deviations = deviations_along(space, directions, label_at(told, first));
             const Tensor units = directions * result.deviations.unsqueeze(1);
             for (int64_t i = 0; i < request.directions; ++i) {
               std::vector<Tensor> columns;
               for (int64_t moment = 0; moment < request.frames; ++moment) {
                 const double t = way(request, moment);
                 std::fill(layers.begin() + request.first_layer,
                           layers.begin() + request.last_layer + 1, styles + t * units[i]);
                 const Tensor moved = t == 0 ? sample : space.render(stacked(layers), draw, told);
                 columns.push_back(pixels_of(loaded, moved).narrow(0, first, count));
               }
               rows.push_back(at::cat(columns));  // [frames, C, H, W]
             }
             result.pictures = at::stack(rows);
             return sample;
           });
  return result;
}

DirectionsLayout resolve_layout(DirectionsLayout layout, const DirectionsRequest& request,
                                const DataInfo& info) {
  layout.scale = layout.strip
                     ? strip_scale(request.directions, request.frames, layout.scale, info)
                     : sheet_of(request.directions, layout.scale, info.width, info.height).scale;
  return layout;
}

std::vector<Image> draw_directions(const Directions& directions, const DirectionsRequest& request,
                                   const DirectionsLayout& layout) {
  if (layout.strip) return {draw_strip(directions, request, layout.scale)};
  std::vector<Image> pictures;
  for (int64_t moment = 0; moment < request.frames; ++moment) {
    pictures.push_back(draw_moment(directions, request, layout.scale, moment));
  }
  // Back again, without the two ends.
  for (size_t i = pictures.size() - 2; i > 0; --i) pictures.push_back(pictures[i]);
  return pictures;
}

// ---- Provenance

Json mix_json(const LoadedModel& loaded, const MixRequest& request, int64_t scale) {
  Json json{{"show", "mix"},
            {"first", request.images.first},
            {"count", 2 * request.images.count},
            {"class", request.images.label},
            {"options", request.images.options},
            {"from", request.from},
            {"scale", scale}};
  add_condition(json, loaded, request.images);
  return json;
}

Json directions_json(const LoadedModel& loaded, const DirectionsRequest& request,
                     const DirectionsLayout& layout, int64_t frame) {
  Json json = {{"show", "directions"},
               {"first", request.images.first},
               {"count", 1},
               {"class", request.images.label},
               {"options", request.images.options},
               {"directions", request.directions},
               {"strength", request.strength},
               {"frames", request.frames},
               {"layers", {request.first_layer, request.last_layer}},
               {"strip", layout.strip},
               {"scale", layout.scale}};
  add_condition(json, loaded, request.images);
  if (frame >= 0) json["frame"] = frame;
  return json;
}

std::vector<Image> draw_mix_again(const LoadedModel& loaded, const Json& json) {
  const int64_t count = json.at("count"), scale = json.at("scale");
  const MixRequest request{.images = {.first = json.at("first"),
                                      .count = count / 2,
                                      .label = json.at("class"),
                                      .options = json.at("options"),
                                      .condition = condition_from_json(json)},
                           .from = json.at("from")};
  if (json.at("show") != "mix" || count % 2 != 0 || request.from < 0 || scale < 1) {
    fail(ErrorKind::usage, "no request of ours");
  }
  return {draw_mix(find_mix(loaded, request), request, scale)};
}

std::vector<Image> draw_directions_again(const LoadedModel& loaded, const Json& json) {
  const std::array<int64_t, 2> layers = json.at("layers");
  const DirectionsRequest request{.images = {.first = json.at("first"),
                                             .count = json.at("count"),
                                             .label = json.at("class"),
                                             .options = json.at("options"),
                                             .condition = condition_from_json(json)},
                                  .directions = json.at("directions"),
                                  .strength = json.at("strength"),
                                  .frames = frames_of(json),
                                  .first_layer = layers[0],
                                  .last_layer = layers[1]};
  const DirectionsLayout layout{.strip = json.at("strip"), .scale = json.at("scale")};
  if (json.at("show") != "directions" || layers[1] < 0 || layout.scale < 1) {
    fail(ErrorKind::usage, "no request of ours");
  }
  std::vector<Image> pictures = draw_directions(find_directions(loaded, request), request, layout);
  if (!json.contains("frame")) return pictures;
  const size_t frame = json.at("frame");
  if (frame >= pictures.size()) fail(ErrorKind::usage, "directions without a frame ", frame);
  return {pictures[frame]};
}

}  // namespace genai
