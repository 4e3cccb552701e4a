#include <torch/version.h>

#include <algorithm>
#include <chrono>
#include <filesystem>

#include "genai/base/error.h"
#include "genai/base/files.h"
#include "genai/base/hash.h"
#include "genai/base/packers.h"
#include "genai/decode/kernels.h"
#include "items-inl.h"
#include "jobs-inl.h"

namespace genai {
namespace {

namespace fs = std::filesystem;

constexpr const char* kEnding = ".genai";

struct CompressRequest {
  RunChoice from;
  std::vector<std::string> files;
  std::string out;
  bool stats = false;
};

const FieldTable& compress_fields() {
  static const FieldTable table =
      describe<CompressRequest>()
          .nest("", &CompressRequest::from, run_choice_fields())
          .field("files", &CompressRequest::files,
                 "texts for a text model; for a VAE pictures of its size: files, folders, ZIPs or "
                 "IDX files (also .gz)")
          .hint("FILE")
          .field("out", &CompressRequest::out, "the file to write; - is standard output")
          .hint("X.genai")
          .field("stats", &CompressRequest::stats,
                 "compares with the model's own bound and with gzip, bzip2, xz and PNG")
          .table();
  return table;
}

struct DecompressRequest {
  RunChoice from;
  std::string file, out;
};

const FieldTable& decompress_fields() {
  static const FieldTable table =
      describe<DecompressRequest>()
          .nest("", &DecompressRequest::from, run_choice_fields())
          .field("file", &DecompressRequest::file, "what `genai compress` wrote")
          .hint("X.genai")
          .field("out", &DecompressRequest::out,
                 "the folder to write to, or of a single file its name (X)")
          .hint("PATH")
          .table();
  return table;
}

/// The run's model on the CPU, and what its items can do.
LoadedModel load_coder(const char* verb, const Settings& given, JobContext& context) {
  const RunReference reference = asked_run(given, context);
  Checkpoint checkpoint = open_checkpoint(reference);
  const Modality& modality = *checkpoint.manifest.data.modality;
  if (!work_on(modality).compress) {
    fail(ErrorKind::usage, verb, ": ", modality.name(),
         " cannot be compressed; expected the run of ", "a text model or a VAE");
  }
  context.check_wanted();
  context.device(checkpoint.manifest.numerics.threads);
  return load_model(reference, std::move(checkpoint), at::kCPU);
}

/// What the numbers of a model depend on beside its weights.
std::string arithmetic() {
  return concat("genai ", GENAI_VERSION, ", LibTorch ", TORCH_VERSION, ", ",
                decode::best_kernels().name);
}

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// Rates in bits a unit: of the whole file, of the model's bound, of general compressors.
Json rates(const Compressed& made, uint64_t size, JobContext& context) {
  const double units = std::max(1.0, made.stats.at("units").get<double>());  // of no text, too
  Json rates = Json::array();
  const auto add = [&](const std::string& name, double bits) {
    rates.push_back({{"name", name}, {"bytes", bits / 8}, {"bits", bits / units}});
  };
  add("genai", 8.0 * static_cast<double>(size));
  if (!made.stats.contains("bound_bits")) return rates;
  add("model", made.stats["bound_bits"].get<double>());
  context.progress()("gzip, bzip2, xz", 0);
  for (const PackedSize& packed : packed_sizes(made.packed))
    add(packed.packer, 8.0 * static_cast<double>(packed.bytes));
  if (made.stats.contains("png_bytes")) add("png", 8.0 * made.stats["png_bytes"].get<double>());
  return rates;
}

Json run_compress(const Settings& given, JobContext& context) {
  const auto request = read_request<CompressRequest>(compress_fields(), given);
  if (request.files.empty())
    fail(ErrorKind::usage, "request.files: expected files to compress, found none");
  if (request.out.empty())
    fail(ErrorKind::usage, "request.out: expected the file to write (x.genai), found none");
  const bool to_file = request.out != "-";
  if (to_file) check_writable(request.out, kEnding);
  LoadedModel loaded = load_coder("compress", given, context);
  const auto start = std::chrono::steady_clock::now();
  const Compressed made = work_on(*loaded.manifest.data.modality)
                              .compress({.loaded = loaded,
                                         .files = request.files,
                                         .stats = request.stats,
                                         .context = context});
  const double seconds = seconds_since(start);
  const std::string bytes = write_archive({.weights_sha256 = loaded.manifest.weights_sha256(),
                                           .arithmetic = arithmetic(),
                                           .content_sha256 = sha256(made.content),
                                           .items = made.items,
                                           .code = made.code});
  Json result = {{"run", loaded.run.string()},
                 {"files", to_file ? Json::array({request.out}) : Json::array()},
                 {"count", made.items.size()},
                 {"items", made.stats.at("items")},
                 {"items_name", made.stats.at("items_name")},
                 {"bytes", bytes.size()},
                 {"unit", made.stats.at("unit")},
                 {"rates", rates(made, bytes.size(), context)},
                 {"seconds", seconds}};
  context.check_wanted();
  to_file ? deliver_file(request.out, bytes, context) : context.events.output(bytes);
  return result;
}

// ---- Back

void check_model(const Archive& archive, const LoadedModel& loaded, const std::string& file) {
  const std::string own = loaded.manifest.weights_sha256();
  if (archive.weights_sha256 == own) return;
  fail(ErrorKind::data, file, ": compressed with the weights ", archive.weights_sha256,
       "; those of ", loaded.run.string(), " are ", own,
       "; name the run that it was compressed with");
}

Decompressed decompressed(const Archive& archive, LoadedModel& loaded, const std::string& file,
                          JobContext& context) {
  try {
    Decompressed result =
        work_on(*loaded.manifest.data.modality).decompress(loaded, archive, context);
    if (sha256(result.content) == archive.content_sha256) return result;
    fail(ErrorKind::data, "what was decoded has another checksum");
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::data) throw;
    fail(ErrorKind::data, file, ": cannot be decoded: ", error.what(), "; it was made by ",
         archive.arithmetic, ", and this is ", arithmetic());
  }
}

/// Where each item goes.
std::vector<fs::path> targets(const Archive& archive, const DecompressRequest& request) {
  const fs::path out = request.out.empty() ? fs::path(request.file).filename().replace_extension()
                                           : fs::path(request.out);
  std::error_code error;
  const bool named = archive.items.size() == 1 && !request.out.empty() && out.has_filename() &&
                     !fs::is_directory(out, error);
  if (named) return {out};
  std::vector<fs::path> paths;
  for (const ArchiveItem& item : archive.items) paths.push_back(out / fs::path(item.name));
  return paths;
}

Json run_decompress(const Settings& given, JobContext& context) {
  const auto request = read_request<DecompressRequest>(decompress_fields(), given);
  if (request.file.empty())
    fail(ErrorKind::usage, "request.file: expected a file that `genai compress` wrote, found none");
  const Archive archive = read_archive(read_file(request.file, kMostArchive), request.file);
  const auto paths = targets(archive, request);
  for (const fs::path& path : paths) check_writable(path, path.extension().string());
  LoadedModel loaded = load_coder("decompress", given, context);
  check_model(archive, loaded, request.file);
  const auto start = std::chrono::steady_clock::now();
  const Decompressed back = decompressed(archive, loaded, request.file, context);
  const double seconds = seconds_since(start);
  Json files = Json::array();
  for (size_t i = 0; i < paths.size(); ++i) {
    deliver_file(paths[i], back.files[i], context);
    files.push_back(paths[i].string());
  }
  return {{"run", loaded.run.string()}, {"files", files}, {"seconds", seconds}};
}

}  // namespace

Job compress_job() {
  return {.name = "compress",
          .about = "packs texts by a text model, pictures by a VAE, without loss",
          .page = plain_page(compress_fields()),
          .form = plain_form(compress_fields()),
          .run = run_compress};
}

Job decompress_job() {
  return {.name = "decompress",
          .about = "gives back what compress packed, with the same model",
          .page = plain_page(decompress_fields()),
          .form = plain_form(decompress_fields()),
          .run = run_decompress};
}

}  // namespace genai
