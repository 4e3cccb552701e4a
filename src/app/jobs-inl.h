// Each is in the file of its name.
#pragma once
#include "genai/app/job.h"

namespace genai {

Job train_job();
Job sample_job();
Job show_job();
Job edit_job();
Job evaluate_job();
Job score_job();
Job compress_job();
Job decompress_job();
Job report_job();
Job check_job();
Job inspect_job();
Job runs_job();
Job export_job();
Job import_job();
Job data_job();
Job config_job();
Job doctor_job();

}  // namespace genai
