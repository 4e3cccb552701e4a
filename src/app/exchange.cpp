#include "genai/base/error.h"
#include "genai/core/numerics.h"
#include "genai/interop/gpt2.h"
#include "jobs-inl.h"
#include "shared-inl.h"

namespace genai {
namespace {

struct ExportRequest {
  RunChoice from;
  std::string out;
};

const FieldTable& export_fields() {
  static const FieldTable table =
      describe<ExportRequest>()
          .nest("", &ExportRequest::from, run_choice_fields())
          .field("out", &ExportRequest::out, "the folder to write: new or empty")
          .hint("DIR")
          .table();
  return table;
}

Json run_export(const Settings& given, JobContext& context) {
  const auto request = read_request<ExportRequest>(export_fields(), given);
  if (request.out.empty()) fail(ErrorKind::usage, "request.out: expected a folder, found none");
  const RunReference reference = asked_run(given, context);
  const Checkpoint checkpoint =
      load_checkpoint(find_checkpoint(reference.folder, reference.checkpoint), false);
  context.check_wanted();
  export_gpt2(checkpoint, request.out);
  return {{"run", reference.folder.string()},
          {"step", checkpoint.manifest.step},
          {"folder", request.out}};
}

struct ImportRequest {
  std::string folder, out;
};

const FieldTable& import_fields() {
  static const FieldTable table =
      describe<ImportRequest>()
          .field("folder", &ImportRequest::folder,
                 "a folder with config.json, model.safetensors and tokenizer.json (or vocab.json "
                 "and merges.txt)")
          .hint("DIR")
          .field("out", &ImportRequest::out, "the run's folder, instead of the next in runs/")
          .hint("RUN")
          .table();
  return table;
}

Json run_import(const Settings& given, JobContext& context) {
  const auto request = read_request<ImportRequest>(import_fields(), given);
  const ImportedModel model = read_gpt2(request.folder);
  const Numerics numerics = resolve_numerics({.device = "cpu", .precision = Precision::float32});
  context.check_wanted();
  const std::filesystem::path run =
      create_run(context.runs, "imported-" + model.data.source, request.out);
  save_run(model, run, numerics);
  const Manifest manifest = read_manifest(find_checkpoint(run, ""));
  return {{"run", run.string()},
          {"tokenizer", manifest.data.tokenizer->name()},
          {"context", manifest.data.context},
          {"weights_sha256", manifest.weights_sha256()}};
}

}  // namespace

Job export_job() {
  return {
      .name = "export",
      .about = "writes a transformer as a folder that Hugging Face's transformers loads as GPT-2",
      .page = plain_page(export_fields()),
      .form = plain_form(export_fields()),
      .run = run_export};
}

Job import_job() {
  return {.name = "import",
          .about = "makes a run of a GPT-2 from a folder of Hugging Face's transformers",
          .page = plain_page(import_fields()),
          .form = plain_form(import_fields()),
          .run = run_import};
}

}  // namespace genai
