#include "sim/checkers/control_stream.h"

#include <utility>

namespace seawall::sim {

void ControlStream::fail(const controller::ChangeEvent& event, const std::string& text) {
  verdict_.fail(Failure::safety, "control stream (I9): event " + event.type + " of epoch " +
                                     std::to_string(event.epoch.value()) + " revision " +
                                     std::to_string(event.revision.value()) + " " + text);
}

void ControlStream::committed(const controller::VolumeRecord* next,
                              const controller::ChangeEvent& event) {
  ++events_;
  const auto [it, fresh] = volumes_.try_emplace(event.volume);
  Told& told = it->second;
  if (!fresh && event.revision.value() != told.last.revision.value() + 1) {
    fail(event, "does not follow revision " + std::to_string(told.last.revision.value()));
  }
  if (event.epoch < told.last.epoch) {
    fail(event, "falls back behind epoch " + std::to_string(told.last.epoch.value()));
  }
  if (told.gone) fail(event, "comes after the volume has gone");
  told.last = controller::Version{event.epoch, event.revision};
  told.gone = next == nullptr;
  if (!controller::fold(event.fields, told.state)) fail(event, "cannot be folded");
  if (next == nullptr) return;
  if (next->version() != told.last) fail(event, "is not the version of its record");
  if (controller::fields_of(*next) != told.state) {
    fail(event, "does not tell what changed: " + event.fields);
  }
}

void ControlStream::told(VolumeId volume, Epoch epoch, Revision revision) {
  const auto it = volumes_.find(volume);
  const controller::Version last = it == volumes_.end() ? controller::Version{} : it->second.last;
  if (epoch <= last.epoch && revision <= last.revision) return;
  verdict_.fail(Failure::safety, "control stream (I9): a node hears of epoch " +
                                     std::to_string(epoch.value()) + " revision " +
                                     std::to_string(revision.value()) +
                                     ", which nobody has committed");
}

void ControlStream::delivered(const control::ToNode& message) {
  if (const auto* assign = std::get_if<control::Assign>(&message)) {
    const Assignment& assignment = assign->assignment;
    told(assignment.volume, assignment.epoch, assignment.revision);
  } else if (const auto* view = std::get_if<control::AttachmentView>(&message)) {
    told(view->volume, view->epoch, view->revision);
  } else if (const auto* fence = std::get_if<control::Fence>(&message)) {
    told(fence->request.volume, fence->request.epoch, Revision{});
  }
}

}  // namespace seawall::sim
