#include "agent/collectors/remote_statfs.h"

#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
#include <thread>

namespace agent {

struct RemoteStatfs::State {
  std::mutex mutex;
  std::condition_variable changed;
  // All below guarded by mutex.
  std::vector<std::string> asked;
  std::map<std::string, MountUsage> answers;  // of the question in hand
  bool busy = false;                          // the thread works on `asked`
  bool stopping = false;
  std::thread thread;
};

namespace {

template <typename State>
void answer_questions(const std::shared_ptr<State>& state, RemoteStatfs::Call call) {
  std::unique_lock lock(state->mutex);
  while (true) {
    state->changed.wait(lock, [&] { return state->busy || state->stopping; });
    if (state->stopping) return;
    const std::vector<std::string> asked = state->asked;
    for (const std::string& mount_point : asked) {
      lock.unlock();
      const MountUsage usage = call(mount_point);
      lock.lock();
      state->answers[mount_point] = usage;
      if (state->stopping) return;
    }
    state->busy = false;
    state->changed.notify_all();
  }
}

}  // namespace

RemoteStatfs::~RemoteStatfs() {
  if (!state_) return;
  std::unique_lock lock(state_->mutex);
  state_->stopping = true;
  state_->changed.notify_all();
  const bool hangs = state_->busy;
  lock.unlock();
  if (hangs) {
    state_->thread.detach();
  } else {
    state_->thread.join();
  }
}

std::vector<MountUsage> RemoteStatfs::ask(const std::vector<std::string>& mount_points,
                                          int64_t patience_ms) {
  std::vector<MountUsage> usages;
  if (mount_points.empty()) return usages;
  if (!state_) {
    state_ = std::make_shared<State>();
    state_->thread = std::thread([state = state_, call = call_] { answer_questions(state, call); });
  }
  std::unique_lock lock(state_->mutex);
  if (!state_->busy) {
    state_->answers.clear();
    state_->asked = mount_points;
    state_->busy = true;
    state_->changed.notify_all();
  }
  state_->changed.wait_for(lock, std::chrono::milliseconds(patience_ms),
                           [&] { return !state_->busy; });
  for (const std::string& mount_point : mount_points) {
    const auto at = state_->answers.find(mount_point);
    usages.push_back(at == state_->answers.end() ? MountUsage{.failed = true} : at->second);
  }
  return usages;
}

}  // namespace agent
