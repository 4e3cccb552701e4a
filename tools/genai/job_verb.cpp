#include "job_verb.h"

#include <unistd.h>

#include <algorithm>
#include <iostream>

#include "genai/base/error.h"
#include "genai/base/files.h"
#include "genai/base/terminal.h"
#include "genai/run/folder.h"

namespace genai::tool {
namespace {

class JobCommand : public Command {
 public:
  JobCommand(const JobVerb& verb, const Job& job)
      : Command(verb.name, job.about, verb.examples), verb_(verb), job_(job) {
    run = [this] { return run_job(); };
  }

  /// Fields of the form, then the verb's own options.
  void add(const RequestForm& form) {
    add_form(form, verb_.words);
    if (verb_.runs) {
      app.add_option("--runs", runs_, "folder of the runs ($GENAI_RUNS, or runs)")
          ->type_name("DIR");
    }
    if (verb_.computes) {
      app.add_option("--device", compute_.device, "auto, cpu, cuda or cuda:N")->type_name("DEVICE");
      app.add_option("--threads", compute_.threads, "CPU threads; 0: as the run was trained with")
          ->type_name("N")
          ->check(CLI::Range(0, 1024));
    }
    if (verb_.preview)
      app.add_flag("--preview", preview_, "shows pictures as text even without a terminal");
    if (verb_.exact) {
      app.add_flag("--exact", exact_,
                   "one thread and AVX2 code: equal pixels on any x86-64 machine");
    }
    if (verb_.json) app.add_flag("--json", json_, verb_.json);
  }

  /// The form of the request that the arguments make, whatever else is in them.
  RequestForm form_of(const Arguments& arguments) {
    if (arguments.empty()) return job_.page();
    Settings asked;
    const bool readable = read_request(arguments, asked);
    const bool names_one = std::ranges::any_of(
        std::initializer_list<const char*>{"run", "model", "config", "resume"},
        [&](const char* field) { return asked.find(std::string("request.") + field) != nullptr; });
    const bool help = std::ranges::any_of(
        arguments, [](const std::string& word) { return word == "--help" || word == "-h"; });
    if (verb_.any_options && !names_one) {
      lenient_ = true;
      return job_.page();
    }
    JobEvents silent;
    try {
      if (readable) return job_.form(asked, context(silent));
    } catch (const Error& error) {
      const bool plan = verb_.any_options;  // settings are not known without
      if (names_one && (!help || plan)) throw Error(error.kind(), with_options(error.what()));
    }
    return job_.page();
  }
  bool lenient() const { return lenient_; }
  void share_inputs(const JobCommand& other) { inputs_ = other.inputs_; }

 private:
  /// Options of families, which are not known yet, are left out. False where it cannot be read.
  bool read_request(const Arguments& arguments, Settings& asked) {
    const auto of_families = options_of_families();
    Arguments own;
    for (size_t i = 0; i < arguments.size(); ++i) {
      const std::string name = arguments[i].substr(0, arguments[i].find('='));
      const auto other = of_families.find(name);
      if (const CLI::Option* option = app.get_option_no_throw(name)) {
        own.push_back(arguments[i]);
        const bool valued = option->get_items_expected_min() > 0 && name == arguments[i];
        if (valued && i + 1 < arguments.size()) own.push_back(arguments[++i]);
      } else if (other != of_families.end() && other->second.valued && name == arguments[i]) {
        ++i;
      } else if (!name.starts_with("-") || name == "-") {
        own.push_back(arguments[i]);
      }
    }
    app.allow_extras();
    set_repetition(app);
    try {
      app.parse(Arguments(own.rbegin(), own.rend()));
      asked = given_request();
    } catch (const CLI::ParseError&) {
      return false;
    } catch (const Error&) {  // told when all of it is read
      return false;
    }
    return true;
  }

  Settings given_request() const {
    const bool of_preset = app.get_option_no_throw("--model") && app.count("--model") > 0;
    const bool skips = verb_.skips_run && verb_.skips_run(words(), of_preset);
    Settings settings = given(skips ? 1 : 0);
    if (const Json* out = settings.find("request.out");
        out && is_standard_output(out->get<std::string>()))
      settings.set("request.out", "-", "");
    return settings;
  }

  JobContext context(JobEvents& events) const {
    Compute compute = compute_;
    if (exact_) compute.threads = 1;
    return {.events = events, .compute = compute, .runs = runs_folder(runs_), .inputs = inputs_};
  }

  int run_job() {
    Settings settings = given_request();
    if (words().size() < verb_.needed) {
      fail(ErrorKind::usage, known_options()[known_options().size() - verb_.words.size()],
           " is required (see: genai ", verb_.name, " --help)");
    }
    if (verb_.complete) verb_.complete(settings, *this);
    TerminalEvents events(*this,
                          {.json = json_, .preview = preview_, .print_part = verb_.print_part});
    JobContext job = context(events);
    const Json result = genai::run_job(job_, settings, job);
    events.close();
    const Finished finished{.result = result,
                            .events = events,
                            .command = *this,
                            .json = json_,
                            .preview = preview_,
                            .default_runs = runs_.empty(),
                            .runs = job.runs};
    return (verb_.print ? verb_.print : print_files)(finished);
  }

  const JobVerb& verb_;
  const Job& job_;
  std::string runs_;
  Compute compute_;
  bool exact_ = false, preview_ = false, json_ = false, lenient_ = false;
  decltype(JobContext::inputs) inputs_ = std::make_shared<std::map<std::string, std::string>>();
};

}  // namespace

bool Finished::shows_pictures() const {
  return preview || (is_terminal(STDOUT_FILENO) && !json);
}

std::unique_ptr<Command> make_verb(const JobVerb& verb, const Arguments& arguments) {
  const Job& job = find_job(verb.name);
  JobCommand first(verb, job);
  first.app.set_help_flag();
  first.add(job.page());
  const RequestForm form = first.form_of(arguments);
  auto command = std::make_unique<JobCommand>(verb, job);
  command->add(form);
  command->share_inputs(first);
  if (first.lenient()) command->app.allow_extras();
  return command;
}

int print_files(const Finished& finished) {
  if (finished.json) {
    print_json(finished.result);
    return 0;
  }
  for (const Json& file : finished.result.at("files")) std::cout << file.get<std::string>() << "\n";
  return 0;
}

}  // namespace genai::tool
