// The thread that issues collectives. c10d matches the calls of all processes by their order, so one thread issues
// them, in the order in which JavaScript asked; it also waits where c10d can only wait (connecting, monitored
// barriers). Neither JavaScript's thread nor libuv's pool ever does.
#pragma once
#include <functional>

namespace afa::distributed {

// Runs the jobs of the whole process one after the other. The thread is never joined: a process that exits does not
// wait for a peer that does not answer.
void issue(std::function<void()> job);

}  // namespace afa::distributed
