#include "engine/drain.h"

namespace seawall {

bool Drain::overdue() {
  if (!until_) return false;
  if (context_.now >= *until_) return true;
  context_.want_wake(*until_);
  return false;
}

bool Drain::hold(LinkId link, const ClientRequest& request) {
  if (held_.full()) return false;
  held_.push_back({link, request});
  return true;
}

}  // namespace seawall
