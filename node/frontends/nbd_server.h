// The NBD server of a shard: sockets, exports and their connections.
//
// Purpose: serves block devices to kernels and programs that speak NBD (fixed newstyle, structured
// replies, base:allocation). Several exports may share a socket. Multi-conn is advertised because
// it is true here: a flush completes when every write that completed before it, on any connection,
// is stable - one log, one order - and no connection caches anything.
// Life cycle: add_export() serves, remove_export() ends its connections and calls back when the
// target has answered everything; the last export of a socket closes it. All exports are removed
// and the reactor is drained before destruction.
// Thread: the reactor's. Ownership: targets are borrowed until `gone` ran.
// Bounds: connections a socket, requests a connection, payload bytes of reads of the whole server;
// beyond them requests are not read from the sockets. Negotiation has a deadline per option.
// Errors: Errc::already_exists for a second export of a name, Errc::busy for a socket in use.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "node/frontends/nbd_export.h"
#include "node/frontends/nbd_negotiation.h"
#include "node/io/listener.h"
#include "node/io/stream.h"

namespace seawall::nbd {

struct ServerOptions {
  std::size_t read_bytes_max = 64 * limits::MiB;  // of all reads under way and not yet sent
  std::size_t connections_max = 64;               // a socket
  Duration option_deadline{30'000};
};

struct ServerCounters {
  std::uint64_t connections = 0, garbage = 0, late = 0, crowded = 0, refused_requests = 0,
                orphaned = 0;
};

class Connection;

class Server final : private runtime::TimerUser {
 public:
  Server(io::Reactor& reactor, runtime::BufferPool& pool, const ServerOptions& options = {});
  ~Server() override;
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // `address` is unix:PATH or a loopback HOST:PORT.
  Status add_export(const std::string& address, const std::string& name,
                    frontends::BlockTarget& target);
  // The socket's file was removed or replaced: listens there anew; connections that are open stay.
  Status bind_again(const std::string& address);
  // `gone` runs in a later pass, once; the target is not touched after it.
  void remove_export(const std::string& address, const std::string& name,
                     std::function<void()> gone);
  // Retries what waits for memory; once a pass.
  void on_turn();

  // Where a socket really listens (port 0 was asked for); empty when there is none.
  std::string listening(const std::string& address) const;
  std::size_t connections(const std::string& address, const std::string& name) const;
  std::size_t requests_open(const std::string& address, const std::string& name) const;
  std::size_t connections() const;
  const ServerCounters& counters() const { return counters_; }

 private:
  friend class Connection;
  struct Door;     // one socket
  struct Leaving;  // an export on its way out

  Result<std::unique_ptr<io::Listener>> listen(Door& door, const std::string& address);
  void begin(Door& door, int fd);
  void ended(Connection& connection);
  // Reads reserve their bytes before they start; false: later, in turn.
  bool reserve(Connection& connection, std::size_t bytes);
  void release(std::size_t bytes);
  void wait_for_memory(Connection& connection);
  void sweep();
  void on_timer(Instant now) override;

  io::Reactor& reactor_;
  runtime::BufferPool& pool_;
  const ServerOptions options_;
  std::map<std::string, std::unique_ptr<Door>> doors_;
  std::vector<std::unique_ptr<Leaving>> leaving_;
  std::size_t reserved_ = 0;
  std::vector<Connection*> waiting_bytes_, waiting_memory_;  // in turn
  std::vector<std::unique_ptr<Connection>> ended_;           // freed at the end of the pass
  ServerCounters counters_;
};

}  // namespace seawall::nbd
