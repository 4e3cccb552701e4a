// The verbs.
#pragma once
#include "job_verb.h"

namespace genai::tool {

std::unique_ptr<Command> make_train(const Arguments& arguments);
std::unique_ptr<Command> make_sample(const Arguments& arguments);
std::unique_ptr<Command> make_show(const Arguments& arguments);
std::unique_ptr<Command> make_edit(const Arguments& arguments);
std::unique_ptr<Command> make_evaluate(const Arguments& arguments);
std::unique_ptr<Command> make_score(const Arguments& arguments);
std::unique_ptr<Command> make_compress(const Arguments& arguments);
std::unique_ptr<Command> make_decompress(const Arguments& arguments);
std::unique_ptr<Command> make_report(const Arguments& arguments);
std::unique_ptr<Command> make_export(const Arguments& arguments);
std::unique_ptr<Command> make_import(const Arguments& arguments);
std::unique_ptr<Command> make_data(const Arguments& arguments);
std::unique_ptr<Command> make_config(const Arguments& arguments);
std::unique_ptr<Command> make_runs(const Arguments& arguments);
std::unique_ptr<Command> make_inspect(const Arguments& arguments);
std::unique_ptr<Command> make_check(const Arguments& arguments);
std::unique_ptr<Command> make_doctor(const Arguments& arguments);

}  // namespace genai::tool
