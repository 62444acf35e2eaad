#include "controller/api/desk.h"

#include <time.h>

#include <chrono>
#include <utility>

#include "controller/api/log.h"
#include "controller/api/project.h"
#include "controller/stream/convert.h"
#include "proto/convert.h"

namespace seawall::controller {
namespace {

constexpr std::chrono::milliseconds tick{50};
constexpr Duration publish_every{250};
constexpr std::chrono::milliseconds answer_slack{1'000};

v1::ControllerMessage rejection(const Refusal& refusal) {
  v1::ControllerMessage message;
  v1::SessionRejected& rejected = *message.mutable_rejected();
  rejected.mutable_error()->set_code(refusal_name(refusal.code));
  rejected.mutable_error()->set_field(refusal.field);
  rejected.mutable_error()->set_value(refusal.value);
  rejected.mutable_error()->set_wanted(refusal.wanted);
  rejected.set_message(refusal.message);
  return message;
}

Answer refused(RefusalCode code, const char* wanted) {
  Answer answer;
  answer.refusal = refuse(code, "request", "not taken", wanted);
  return answer;
}

}  // namespace

Instant Desk::now() {
  timespec time{};
  clock_gettime(CLOCK_BOOTTIME, &time);
  return Instant(static_cast<std::uint64_t>(time.tv_sec) * 1'000 +
                 static_cast<std::uint64_t>(time.tv_nsec) / 1'000'000);
}

Status Desk::start() {
  store_.watch([this](const ChangeEvent& event) { note_commit(event); });
  std::vector<Output> outputs;
  TRY(runner_.start(now(), outputs));
  dispatch(outputs);
  thread_ = std::thread([this] { run(); });
  return Status();
}

void Desk::note_commit(const ChangeEvent& event) {
  std::string name;
  for (const Core::VolumeNow& volume : runner_.core().volumes()) {
    if (volume.record->id == event.volume) name = volume.record->name;
  }
  log_line(LogLevel::info, "vol=" + (name.empty() ? event.volume.to_hex().data() : name) +
                               " epoch=" + std::to_string(event.epoch.value()) + " rev=" +
                               std::to_string(event.revision.value()) + " event=" + event.type +
                               (event.fields.empty() ? "" : " " + event.fields));
  for (auto& [id, open] : feeds_) open.feed.note_commit(event.volume);
  feeds_due_ = true;
}

// Whatever the watchers' windows have room for; a feed whose store fails ends, its watcher returns.
void Desk::pump_feeds() {
  if (!feeds_due_) return;
  feeds_due_ = false;
  for (auto at = feeds_.begin(); at != feeds_.end();) {
    std::vector<stream::ToWatcher> told;
    const bool fine = at->second.feed.pump(told);
    for (const stream::ToWatcher& each : told) {
      v1::WatchReply reply;
      stream::to_proto(each, reply);
      at->second.link->push(std::move(reply));
    }
    if (!fine) at->second.link->end(std::nullopt);
    at = fine ? std::next(at) : feeds_.erase(at);
  }
}

void Desk::stop() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    stopping_ = true;
    wake_.notify_all();
    changed_.notify_all();
  }
  if (thread_.joinable()) thread_.join();
  for (auto& [id, link] : links_) link->end(std::nullopt);
  links_.clear();
  for (auto& [id, open] : feeds_) open.link->end(std::nullopt);
  feeds_.clear();
  tasks_.clear();  // who waits for one sees its promise broken
  for (auto& [id, question] : questions_) {
    question.set_value(refused(RefusalCode::busy, "the controller stops, ask again in a moment"));
  }
  questions_.clear();
}

bool Desk::is_stopping() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return stopping_;
}

bool Desk::post(Task task) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (stopping_ || tasks_.size() >= inputs_max) return false;
  tasks_.push_back(std::move(task));
  wake_.notify_one();
  return true;
}

void Desk::run() {
  auto next_tick = std::chrono::steady_clock::now() + tick;
  std::unique_lock<std::mutex> lock(mutex_);
  while (!stopping_) {
    wake_.wait_until(lock, next_tick, [this] { return stopping_ || !tasks_.empty(); });
    std::deque<Task> batch;
    batch.swap(tasks_);
    lock.unlock();
    for (Task& task : batch) task(now());
    if (std::chrono::steady_clock::now() >= next_tick) {
      step(input::Tick{}, now());
      next_tick = std::chrono::steady_clock::now() + tick;
    }
    pump_feeds();
    publish(now());
    lock.lock();
  }
}

void Desk::step(const Input& input, Instant time) {
  std::vector<Output> outputs;
  runner_.step(input, time, outputs);
  dispatch(outputs);
}

void Desk::dispatch(std::vector<Output>& outputs) {
  for (Output& output : outputs) {
    if (auto* delivery = std::get_if<output::Deliver>(&output)) {
      const auto link = links_.find(delivery->session);
      if (link == links_.end()) continue;  // it ended a moment ago
      v1::ControllerMessage message;
      proto::to_proto(delivery->message, message);
      link->second->push(std::move(message));
    } else if (auto* reject = std::get_if<output::Reject>(&output)) {
      log_line(LogLevel::warning,
               "event=session_rejected session=" + std::to_string(reject->session) + " message=\"" +
                   reject->refusal.message + "\"");
      const auto link = links_.find(reject->session);
      if (link == links_.end()) continue;
      link->second->end(rejection(reject->refusal));
      links_.erase(link);
    } else if (auto* answered = std::get_if<output::Answered>(&output)) {
      const auto question = questions_.find(answered->id);
      if (question == questions_.end()) continue;
      question->second.set_value(std::move(answered->answer));
      questions_.erase(question);
    }
  }
}

std::uint64_t Desk::open(std::shared_ptr<NodeLink> link) {
  std::uint64_t session = 0;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    session = next_session_++;
  }
  const bool taken = post([this, session, link](Instant) { links_[session] = link; });
  if (!taken) link->end(std::nullopt);
  return session;
}

bool Desk::say(std::uint64_t session, control::FromNode message) {
  return post([this, session, message = std::move(message)](Instant time) {
    if (const auto* hello = std::get_if<control::Register>(&message)) {
      log_line(LogLevel::info, "event=register node=" + hello->name + " session=" +
                                   std::to_string(session) + " address=" + hello->data_address +
                                   " replicas=" + std::to_string(hello->replicas.size()));
    }
    if (const auto* wanted = std::get_if<control::FailoverWanted>(&message)) {
      log_line(LogLevel::warning,
               "event=failover_wanted epoch=" + std::to_string(wanted->epoch.value()) +
                   " reason=\"" + wanted->reason + "\"");
    }
    if (const auto* refusal = std::get_if<control::AssignRefused>(&message)) {
      log_line(LogLevel::warning,
               "event=assign_refused epoch=" + std::to_string(refusal->epoch.value()) +
                   " reason=\"" + refusal->reason + "\"");
    }
    step(input::NodeSaid{session, message}, time);
  });
}

void Desk::close(std::uint64_t session) {
  const auto end = [this, session](Instant time) {
    links_.erase(session);
    log_line(LogLevel::info, "event=session_ended session=" + std::to_string(session));
    step(input::NodeGone{session}, time);
  };
  MAYBE(post(end));  // refused only when the desk stops, or is so far behind that silence tells
}

std::uint64_t Desk::open_feed(std::shared_ptr<WatchLink> link) {
  std::uint64_t feed = 0;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    feed = next_session_++;
  }
  const bool taken = post([this, feed, link](Instant) {
    feeds_.emplace(feed, OpenFeed{stream::Feed(store_), link});
  });
  if (!taken) link->end(std::nullopt);
  return feed;
}

bool Desk::follow(std::uint64_t feed, stream::FromWatcher message) {
  return post([this, feed, message = std::move(message)](Instant) {
    const auto at = feeds_.find(feed);
    if (at == feeds_.end()) return;
    feeds_due_ = true;
    if (at->second.feed.hear(message)) return;
    at->second.link->end(std::nullopt);
    feeds_.erase(at);
  });
}

void Desk::close_feed(std::uint64_t feed) {
  MAYBE(post([this, feed](Instant) { feeds_.erase(feed); }));  // refused: its link has ended
}

Answer Desk::ask(Request request, std::chrono::milliseconds timeout) {
  auto promise = std::make_shared<std::promise<Answer>>();
  std::future<Answer> answer = promise->get_future();
  std::uint64_t id = 0;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    id = next_question_++;
  }
  const bool taken = post([this, id, promise, request = std::move(request), timeout](Instant time) {
    questions_[id] = std::move(*promise);
    const Instant deadline = time + Duration(static_cast<std::uint64_t>(timeout.count()));
    step(input::Asked{id, request, deadline}, time);
  });
  if (!taken) return refused(RefusalCode::busy, "the controller is overloaded, ask again");
  // The core answers by its own deadline; the slack covers a store that is slow.
  if (answer.wait_for(timeout + answer_slack) != std::future_status::ready) {
    return refused(RefusalCode::timed_out, "the controller did not get to it in time, ask again");
  }
  try {
    return answer.get();
  } catch (const std::future_error&) {
    return refused(RefusalCode::busy, "the controller stops, ask again in a moment");
  }
}

std::shared_ptr<const v1::Cluster> Desk::project(Instant time) {
  auto cluster = std::make_shared<v1::Cluster>(project_cluster(runner_.core(), time));
  cluster->set_sequence(++sequence_);
  return cluster;
}

std::shared_ptr<const v1::Cluster> Desk::cluster() {
  auto promise = std::make_shared<std::promise<std::shared_ptr<const v1::Cluster>>>();
  auto result = promise->get_future();
  if (!post([this, promise](Instant time) { promise->set_value(project(time)); })) return nullptr;
  if (result.wait_for(std::chrono::seconds(5)) != std::future_status::ready) return nullptr;
  try {
    return result.get();
  } catch (const std::future_error&) {
    return nullptr;
  }
}

std::optional<v1::Volume> Desk::volume(const std::string& name) {
  auto promise = std::make_shared<std::promise<std::optional<v1::Volume>>>();
  auto result = promise->get_future();
  const bool taken = post([this, promise, name](Instant time) {
    promise->set_value(project_volume(runner_.core(), name, time));
  });
  if (!taken || result.wait_for(std::chrono::seconds(5)) != std::future_status::ready) {
    return std::nullopt;
  }
  try {
    return result.get();
  } catch (const std::future_error&) {
    return std::nullopt;
  }
}

// Makes a projection for watchers when there are any, and tells them when it says something new.
void Desk::publish(Instant time) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (watchers_ == 0) published_.reset();  // the next watcher begins with a fresh one
    if (watchers_ == 0 || (published_ && time < published_at_ + publish_every)) return;
  }
  published_at_ = time;
  v1::Cluster cluster = project_cluster(runner_.core(), time);
  forget_ages(cluster);  // they change by themselves
  std::string bytes = cluster.SerializeAsString();
  const std::lock_guard<std::mutex> lock(mutex_);
  if (published_ && bytes == last_bytes_) return;
  last_bytes_ = std::move(bytes);
  cluster.set_sequence(++sequence_);
  published_ = std::make_shared<const v1::Cluster>(std::move(cluster));
  changed_.notify_all();
}

void Desk::begin_watch() {
  const std::lock_guard<std::mutex> lock(mutex_);
  ++watchers_;
}

void Desk::end_watch() {
  const std::lock_guard<std::mutex> lock(mutex_);
  --watchers_;
}

std::shared_ptr<const v1::Cluster> Desk::wait_for_change(std::uint64_t sequence,
                                                         std::chrono::milliseconds timeout) {
  std::unique_lock<std::mutex> lock(mutex_);
  const bool changed = changed_.wait_for(lock, timeout, [&] {
    return stopping_ || (published_ && published_->sequence() != sequence);
  });
  return changed && !stopping_ ? published_ : nullptr;
}

}  // namespace seawall::controller
