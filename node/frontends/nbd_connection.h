// One client of the NBD server.
//
// Life cycle: greets, negotiates, transmits; ends when the client leaves, breaks the protocol or
// its export is removed. Requests that are under way then are waited for by the export; their
// replies are dropped. Thread: the reactor's. Ownership: the server owns it, the export owns the
// jobs. Bounds: kJobsMax requests at once; while that many are open, or too many bytes wait to be
// sent, or memory is short, nothing more is read from the socket.
#pragma once

#include <memory>
#include <optional>

#include "node/frontends/nbd_server.h"

namespace seawall::nbd {

class Connection final : public io::StreamUser, private runtime::TimerUser {
 public:
  static constexpr std::size_t kJobsMax = 128;
  static constexpr std::size_t kUnsentMax = 8 * limits::MiB;

  Connection(Server& server, const std::string& door, const Catalogue& catalogue,
             std::function<std::shared_ptr<Export>(const std::string&)> open, int fd);
  ~Connection() override;

  void start();
  // Goes on after it waited for read bytes or memory.
  void resume();
  // Ends it now.
  void close();
  const std::string& door() const { return door_; }
  const Export* exported() const { return export_.get(); }

 private:
  enum class Phase { flags, options, transmission, leaving, ended };

  void on_readable(io::Stream& stream) override;
  void on_end(io::Stream& stream, int error) override;
  void on_sent(io::Stream& stream) override;
  void on_timer(Instant now) override;

  bool step();
  bool step_flags();
  bool step_option();
  bool step_skip();
  bool step_request();
  bool step_payload();
  bool act(Negotiation::Next next);
  bool garbage();
  bool hold();
  bool begin(const Request& request);
  bool begin_write(const Request& request);
  bool begin_job(const Request& request, ClientOp op);
  void block_status(const Request& request);
  bool refuse(const Request& request, WireError error);
  WireError judge(const Request& request) const;
  WireError judge_range(const Request& request, WireError beyond) const;
  static void on_job(Job& job);
  void finish(Job& job);
  void reply(const Request& request, WireError error);
  void reply_read(Job& job);
  bool structured() const { return negotiation_.structured(); }
  void maybe_leave();

  Server& server_;
  const std::string door_;
  Negotiation negotiation_;
  std::function<std::shared_ptr<Export>(const std::string&)> open_;
  std::unique_ptr<io::Stream> stream_;
  std::shared_ptr<Export> export_;
  Phase phase_ = Phase::flags;
  Bytes out_;
  bool stepping_ = false;

  std::uint64_t skip_ = 0;                    // bytes of the stream to drop
  std::optional<OptionHeader> skipped_option_;
  std::optional<Request> skipped_request_;
  WireError skipped_error_ = WireError::none;

  std::optional<Request> held_;               // a request that waits for its turn
  Job* write_ = nullptr;                      // whose payload is being received
  std::uint64_t write_at_ = 0;
  Slot write_slot_ = no_slot;
  std::size_t write_slot_bytes_ = 0;

  std::vector<Job*> jobs_;                    // open ones
  std::size_t unsent_reads_ = 0;              // reserved bytes that are in the send queue
};

}  // namespace seawall::nbd
