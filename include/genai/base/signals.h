// Signals as flags that a loop asks for between two steps. Handlers only set atomics.
#pragma once

namespace genai {

/// SIGINT, SIGTERM, SIGHUP: stop soon. A second SIGINT or SIGTERM ends the process at once with
/// 128 + signal. SIGUSR1: save soon, go on. SIGPIPE and SIGXFSZ are ignored: writes then report
/// EPIPE and EFBIG. A SIGHUP that is ignored already (nohup) stays ignored.
void install_signal_handlers();

/// Only that: SIGPIPE and SIGXFSZ are ignored.
void ignore_write_signals();

/// 0, or the first of SIGINT, SIGTERM and SIGHUP received.
int stop_signal();

/// Was SIGUSR1 received since the last call?
bool take_save_request();

/// Forgets the signals received so far; the handlers stay.
void reset_signals_for_test();

}  // namespace genai
