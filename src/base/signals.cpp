#include "genai/base/signals.h"

#include <unistd.h>

#include <atomic>
#include <csignal>

namespace genai {
namespace {

std::atomic<int> first_stop{0};         // SIGINT, SIGTERM or SIGHUP
std::atomic<bool> asked_to_end{false};  // SIGINT or SIGTERM came once
std::atomic<bool> save_requested{false};
static_assert(std::atomic<int>::is_always_lock_free && std::atomic<bool>::is_always_lock_free);

void on_signal(int signal) {
  if (signal == SIGUSR1) {
    save_requested = true;
    return;
  }
  if (signal != SIGHUP && asked_to_end.exchange(true)) ::_exit(128 + signal);
  int none = 0;
  first_stop.compare_exchange_strong(none, signal);
}

void set_action(int signal, void (*handler)(int)) {
  struct sigaction action {};
  action.sa_handler = handler;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  ::sigaction(signal, &action, nullptr);
}

}  // namespace

void install_signal_handlers() {
  for (const int signal : {SIGINT, SIGTERM, SIGUSR1}) set_action(signal, on_signal);
  struct sigaction hangup {};
  if (::sigaction(SIGHUP, nullptr, &hangup) == 0 && hangup.sa_handler != SIG_IGN)
    set_action(SIGHUP, on_signal);
  ignore_write_signals();
}

void ignore_write_signals() {
  for (const int signal : {SIGPIPE, SIGXFSZ}) set_action(signal, SIG_IGN);
}

int stop_signal() {
  return first_stop;
}

bool take_save_request() {
  return save_requested.exchange(false);
}

void reset_signals_for_test() {
  first_stop = 0;
  asked_to_end = false;
  save_requested = false;
}

}  // namespace genai
